"""What follows when a payment is refused: retries, a grace, and calls suspended until it is paid.

course      an invoice's facts → where it stands and what comes when
facts       the facts as they happen
telling     what programs and people are told of them
suspension  what it means for calls, pushed to metering as a row
"""
