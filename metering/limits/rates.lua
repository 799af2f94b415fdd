-- Sliding windows of 60 seconds in buckets of one second (docs/decisions/0004-rate-limits.md).
--
-- A key is the hash of one subject. A bucket is {requests, tokens} of a second. Field `head` holds the oldest and the
-- newest bucket that count, their seconds, and the sums of all buckets; every bucket between them is the field of its
-- second. So a take in a second that has a bucket already reads one field and writes one.
--
-- KEYS     the subjects, all of one hash tag
-- ARGV[1]  take, look or correct
-- ARGV[2]  now in Unix seconds, or '' for Redis' own clock
--
-- take, look   ARGV[3] tokens; then of each subject its requests and its tokens per minute, -1 for unlimited
--              → {now, then of each subject for requests and for tokens: remaining (-1: unlimited), reset, is full (0, 1)}
-- correct      ARGV[3] tokens to add (below 0: to give back), ARGV[4] the second they were taken in → nothing

-- A bucket began up to a second before what is in it: for 60 seconds after the last of it, it must count for 61.
local SPAN = 61
local REQUESTS, TOKENS = 1, 2

local function empty(key, now)
  local bucket = {0, 0}
  -- While there is one bucket, oldest and newest are the same table.
  return {key = key, now = now, first = now, last = now, sum = {0, 0}, oldest = bucket, newest = bucket, is_new = true}
end

local function between(key, second)
  local packed = redis.call('HGET', key, second)
  return packed and cmsgpack.unpack(packed)
end

local function write(window)
  local sum, oldest, newest = window.sum, window.oldest, window.newest
  redis.call('HSET', window.key, 'head', cmsgpack.pack({
    window.first, window.last, sum[1], sum[2], oldest[1], oldest[2], newest[1], newest[2]}))
end

local function forget_what_has_left(window)
  while window.first <= window.now - SPAN do
    window.sum[1] = window.sum[1] - window.oldest[1]
    window.sum[2] = window.sum[2] - window.oldest[2]
    repeat
      window.first = window.first + 1
      window.oldest = window.first == window.last and window.newest or between(window.key, window.first)
    until window.oldest
    if window.first ~= window.last then
      redis.call('HDEL', window.key, window.first)
    end
    window.is_changed = true
  end
end

local function read(key, now)
  local packed = redis.call('HGET', key, 'head')
  if not packed then
    return empty(key, now)
  end
  local head = cmsgpack.unpack(packed)
  local first, last = head[1], head[2]
  if now - last >= SPAN or last - now > SPAN then
    -- All of it has left; or the clock was set back so far that none of it says anything.
    redis.call('DEL', key)
    return empty(key, now)
  end
  -- Where the clock was set back a little, as when a replica takes over, time stands still until it has caught up.
  local window = {key = key, now = math.max(now, last), first = first, last = last, sum = {head[3], head[4]},
                  oldest = {head[5], head[6]}, newest = {head[7], head[8]}}
  if first == last then
    window.oldest = window.newest
  end
  forget_what_has_left(window)
  return window
end

local function count(window, requests, tokens)
  if window.now ~= window.last then
    if window.first ~= window.last then
      redis.call('HSET', window.key, window.last, cmsgpack.pack(window.newest))
    end
    window.last, window.newest, window.is_new = window.now, {0, 0}, true
  end
  for unit, amount in ipairs({requests, tokens}) do
    window.newest[unit] = window.newest[unit] + amount
    window.sum[unit] = window.sum[unit] + amount
  end
  write(window)
  if window.is_new then
    redis.call('EXPIRE', window.key, SPAN + 1)
  end
end

-- The second in which at least `amount` of what counts now will have left.
local function left_by(window, unit, amount)
  local second, left = window.first, window.oldest[unit]
  while left < amount and second < window.last do
    second = second + 1
    local bucket = second == window.last and window.newest or between(window.key, second)
    left = left + (bucket and bucket[unit] or 0)
  end
  return second + SPAN
end

local function is_full(window, unit, limit, amount)
  return limit == 0 or (limit > 0 and amount > 0 and window.sum[unit] + amount > limit)
end

-- Remaining, reset, is full. A full window resets when `amount` passes, another when it next gives something back.
local function state(window, unit, limit, amount, is_refused)
  if limit < 0 then
    return -1, 0, 0
  end
  local sum, reset = window.sum[unit], window.now
  if is_refused and amount <= limit then
    reset = left_by(window, unit, sum + amount - limit)
  elseif sum > 0 then
    reset = left_by(window, unit, 1)
  end
  return math.max(0, limit - sum), reset, is_refused and 1 or 0
end

local function check(now, tokens, is_taking)
  local amounts = {1, tokens}
  local windows, is_refused = {}, false
  for n, key in ipairs(KEYS) do
    local window = read(key, now)
    window.limits = {tonumber(ARGV[2 + 2 * n]), tonumber(ARGV[3 + 2 * n])}
    window.full = {}
    for unit = REQUESTS, TOKENS do
      window.full[unit] = is_taking and is_full(window, unit, window.limits[unit], amounts[unit])
      is_refused = is_refused or window.full[unit]
    end
    windows[n] = window
  end
  local answer = {now}
  for _, window in ipairs(windows) do
    if is_taking and not is_refused then
      count(window, 1, tokens)
    elseif window.is_changed then
      write(window)
    end
    for unit = REQUESTS, TOKENS do
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3] =
        state(window, unit, window.limits[unit], amounts[unit], window.full[unit])
    end
  end
  return answer
end

-- What was taken beyond need goes back to its second, while that counts; what was taken too little counts from now on.
local function correct(now, tokens, second)
  for _, key in ipairs(KEYS) do
    local window = read(key, now)
    if tokens > 0 then
      count(window, 0, tokens)
    else
      local bucket = second == window.first and window.oldest or second == window.last and window.newest
        or between(key, second)
      local given = bucket and math.min(-tokens, bucket[TOKENS]) or 0
      if given > 0 then
        bucket[TOKENS] = bucket[TOKENS] - given
        window.sum[TOKENS] = window.sum[TOKENS] - given
        if second ~= window.first and second ~= window.last then
          redis.call('HSET', key, second, cmsgpack.pack(bucket))
        end
      end
      if given > 0 or window.is_changed then
        write(window)
      end
    end
  end
end

local now = tonumber(ARGV[2] == '' and redis.call('TIME')[1] or ARGV[2])
if ARGV[1] == 'correct' then
  return correct(now, tonumber(ARGV[3]), tonumber(ARGV[4]))
end
return check(now, tonumber(ARGV[3]), ARGV[1] == 'take')
