-- Sliding windows of 60 seconds in buckets of one second (docs/decisions/0004-rate-limits.md).
--
-- A key is the hash of one subject: `r` and `t` are its requests and tokens in all buckets that count, `r<second>` and
-- `t<second>` those of one bucket, `first` and `last` the oldest and the newest second with a bucket.
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

local function opened(key, now)
  local head = redis.call('HMGET', key, 'first', 'last', 'r', 't')
  local window = {key = key, now = now, first = now, last = now, is_new = true, r = 0, t = 0, oldest = {r = 0, t = 0}}
  if not head[1] then
    return window
  end
  local first, last = tonumber(head[1]), tonumber(head[2])
  if now - last >= SPAN or last - now > SPAN then
    -- All of it has left; or the clock was set back so far that none of it says anything.
    redis.call('DEL', key)
    return window
  end
  if last > now then
    -- The clock was set back a little, as when a replica takes over: time stands still until it has caught up.
    window.now, now = last, last
  end
  window.is_new, window.first, window.last = now ~= last, first, last
  window.r, window.t = tonumber(head[3]), tonumber(head[4])
  while true do
    local bucket = redis.call('HMGET', key, 'r' .. window.first, 't' .. window.first)
    if bucket[1] then
      if window.first > now - SPAN then
        window.oldest = {r = tonumber(bucket[1]), t = tonumber(bucket[2])}
        break
      end
      redis.call('HDEL', key, 'r' .. window.first, 't' .. window.first)
      window.r, window.t = window.r - bucket[1], window.t - bucket[2]
    end
    window.first = window.first + 1
  end
  if window.first ~= first then
    redis.call('HSET', key, 'first', window.first, 'r', window.r, 't', window.t)
  end
  return window
end

local function count(window, requests, tokens)
  local r = redis.call('HINCRBY', window.key, 'r' .. window.now, requests)
  local t = redis.call('HINCRBY', window.key, 't' .. window.now, tokens)
  if window.first == window.now then
    window.oldest = {r = r, t = t}
  end
  window.r, window.t = window.r + requests, window.t + tokens
  redis.call('HSET', window.key, 'first', window.first, 'last', window.now, 'r', window.r, 't', window.t)
  if window.is_new then
    redis.call('EXPIRE', window.key, SPAN + 1)
  end
end

-- The second in which at least `amount` of what counts now will have left.
local function left_by(window, unit, amount)
  local second, left = window.first, window.oldest[unit]
  while left < amount and second < window.now do
    second = second + 1
    left = left + (redis.call('HGET', window.key, unit .. second) or 0)
  end
  return second + SPAN
end

local function is_full(window, unit, limit, amount)
  return limit == 0 or (limit > 0 and amount > 0 and window[unit] + amount > limit)
end

-- Remaining, reset, is full. A full one resets when `amount` passes, another when it next gives something back.
local function state(window, unit, limit, amount, is_refused)
  if limit < 0 then
    return -1, 0, 0
  end
  local reset = window.now
  if is_refused and amount <= limit then
    reset = left_by(window, unit, window[unit] + amount - limit)
  elseif window[unit] > 0 then
    reset = left_by(window, unit, 1)
  end
  return math.max(0, limit - window[unit]), reset, is_refused and 1 or 0
end

local function correct(now, delta, second)
  for _, key in ipairs(KEYS) do
    local window = opened(key, now)
    if delta > 0 then
      count(window, 0, delta)
    else
      local counted = tonumber(redis.call('HGET', key, 't' .. second) or 0)
      local given = math.min(-delta, counted)
      if given > 0 then
        redis.call('HINCRBY', key, 't' .. second, -given)
        redis.call('HINCRBY', key, 't', -given)
      end
    end
  end
end

local function check(now, tokens, is_taking)
  local amounts = {r = 1, t = tokens}
  local windows, limits, full = {}, {}, {}
  local is_refused = false
  for n, key in ipairs(KEYS) do
    windows[n] = opened(key, now)
    limits[n] = {r = tonumber(ARGV[2 + 2 * n]), t = tonumber(ARGV[3 + 2 * n])}
    full[n] = {}
    for unit, amount in pairs(amounts) do
      full[n][unit] = is_taking and is_full(windows[n], unit, limits[n][unit], amount)
      is_refused = is_refused or full[n][unit]
    end
  end
  local answer = {now}
  for n, window in ipairs(windows) do
    if is_taking and not is_refused then
      count(window, 1, tokens)
    end
    for _, unit in ipairs({'r', 't'}) do
      local remaining, reset, flag = state(window, unit, limits[n][unit], amounts[unit], full[n][unit])
      answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] = remaining, reset, flag
    end
  end
  return answer
end

local now = ARGV[2] == '' and tonumber(redis.call('TIME')[1]) or tonumber(ARGV[2])
if ARGV[1] == 'correct' then
  return correct(now, tonumber(ARGV[3]), ARGV[4])
end
return check(now, tonumber(ARGV[3]), ARGV[1] == 'take')
