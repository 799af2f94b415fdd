"""Who is told of what, by which way, and when.

audience     a fact → members and the ways they are told by
preferences  what members said about kinds and ways; what holds where they said nothing
timing       quiet hours and digests on clocks of any zone
addressing   a fact → rows of what is in inboxes and on its way
sending      rows on their way → sent, once each, whoever is killed in between
digest       many e-mails as one
inbox        what a member has been told
unsubscribe  links in e-mails that work without a log-in
"""
