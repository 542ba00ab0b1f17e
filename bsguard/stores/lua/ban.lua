-- Ban until a moment, unless a longer ban holds; a moment that has passed lifts the ban.
--
-- KEYS  1: the ban
-- ARGV  1: the time in microseconds, 0 for the server's; 2: the moment, in microseconds
local now, spare = tonumber(ARGV[1]), 1
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
else
    spare = 60000 -- a test's clock may stand still: what it holds must outlive the real one
end
local deadline = tonumber(ARGV[2])
if deadline <= now then
    redis.call('DEL', KEYS[1])
elseif deadline > tonumber(redis.call('GET', KEYS[1]) or 0) then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', string.format('%.0f', math.ceil((deadline - now) / 1000) + spare))
end
return 0
