-- Apply changes to counters whatever their limit, and set marks.
--
-- KEYS  the counters, then the marks
-- ARGV  1: the time in microseconds, 0 for the server's; 2: number of counters; then for each counter three doubles
--       (emission, what it holds, units); then for each mark for how long, in microseconds
-- Gives a double for each counter: its load after that.
local now, spare = tonumber(ARGV[1]), 1
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
else
    spare = 60000 -- a test's clock may stand still: what it holds must outlive the real one
end
local counters = tonumber(ARGV[2])

local function hold(key, deadline)
    if deadline <= now then
        redis.call('DEL', key)
    else
        local lasting = math.ceil((deadline - now) / 1000) + spare
        redis.call('SET', key, string.format('%.0f', deadline), 'PX', string.format('%.0f', lasting))
    end
end

local loads = {}
for i = 1, counters do
    local emission, full, units = struct.unpack('<ddd', ARGV[2 + i])
    local load = math.max(tonumber(redis.call('GET', KEYS[i]) or 0) - now, 0)
    if load > full then load = load <= full + 60000000 and full or 0 end -- see table.py
    loads[i] = math.min(math.max(load + emission * units, 0), full)
    hold(KEYS[i], now + loads[i])
end
for i = counters + 1, #KEYS do
    hold(KEYS[i], now + tonumber(ARGV[2 + i]))
end
return struct.pack('<' .. string.rep('d', counters), unpack(loads))
