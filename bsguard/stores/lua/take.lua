-- One step: check bans, then all counters; charge all that are not over and exchange, or nothing if a hard one is.
-- What bsguard/stores/table.py does for the embedded stores, on one key a deadline.
--
-- KEYS  the marks, then the bans, then the counters, then the trails
-- ARGV  1: the time in microseconds, 0 for the server's; 2: number of marks; 3: number of bans; 4: number of trails; then
--       for each ban the positions of its marks, a byte each; then for each counter six doubles (emission, what it
--       holds, cost, soft, position of the mark to set or -1, for how long) and the positions of its marks; then for
--       each trail its new number
-- Gives doubles, which hold whole numbers exactly up to 2^53: the time, the ban's deadline or 0, for each mark whether
-- it held, for each counter its load or -1, for each counter whether it is over, for each trail its number before.
local now, spare = tonumber(ARGV[1]), 1
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
else
    spare = 60000 -- a test's clock may stand still: what it holds must outlive the real one
end
local marks, bans, trails = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local values = #KEYS > 0 and redis.call('MGET', unpack(KEYS)) or {}

local function hold(key, deadline)
    if deadline <= now then
        redis.call('DEL', key)
    else
        local lasting = math.ceil((deadline - now) / 1000) + spare
        redis.call('SET', key, string.format('%.0f', deadline), 'PX', string.format('%.0f', lasting))
    end
end

local held = {}
for i = 1, marks do
    held[i] = (tonumber(values[i] or 0) > now) and 1 or 0
end

local function excused(positions, first)
    for i = first, #positions do
        if held[positions:byte(i) + 1] == 1 then return true end
    end
    return false
end

local answer = {now, 0, unpack(held)}
for i = 1, bans do
    local deadline = tonumber(values[marks + i] or 0)
    if deadline > now and not excused(ARGV[4 + i], 1) then
        answer[2] = deadline
        return struct.pack('<' .. string.rep('d', #answer), unpack(answer))
    end
end

local counters = #KEYS - marks - bans - trails
local loads, over, charges, refused = {}, {}, {}, false
for i = 1, counters do
    local spec = ARGV[4 + bans + i]
    loads[i], over[i] = -1, 0
    if not excused(spec, 49) then
        local emission, full, cost, soft, mark, lasting = struct.unpack('<dddddd', spec)
        local load = math.max(tonumber(values[marks + bans + i] or 0) - now, 0)
        if load > full then load = load <= full + 60000000 and full or 0 end -- see table.py
        loads[i] = load
        if load + emission * math.max(cost, 1) > full then
            over[i] = 1
            refused = refused or soft == 0
        elseif cost > 0 then
            charges[#charges + 1] = {i, load + emission * cost, mark, lasting}
        end
    end
end
if not refused then
    for _, charge in ipairs(charges) do
        local i, load, mark, lasting = unpack(charge)
        loads[i] = load
        hold(KEYS[marks + bans + i], now + load)
        if mark >= 0 then hold(KEYS[mark + 1], now + lasting) end
    end
end
for i = 1, counters do
    answer[2 + marks + i] = loads[i]
    answer[2 + marks + counters + i] = over[i]
end
for i = 1, trails do
    local at = marks + bans + counters + i
    answer[2 + marks + 2 * counters + i] = tonumber(values[at] or 0)
    if not refused then redis.call('SET', KEYS[at], ARGV[4 + bans + counters + i], 'PX', 86400000) end
end
return struct.pack('<' .. string.rep('d', #answer), unpack(answer))
