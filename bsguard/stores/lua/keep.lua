-- Replace records, each only if its version is still the one that was read.
--
-- KEYS  1: the set of all records, by when they were written; then the records
-- ARGV  1: the time in microseconds, 0 for the server's; 2: how many records there may be; 3: length of the prefix of
--       keys, which the set holds without; then for each record its version, and its new data; none takes it away
-- Gives for each record 1 if it was replaced.
local now = tonumber(ARGV[1])
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local prefix = string.sub(KEYS[1], 1, tonumber(ARGV[3]))
local kept = {}
for i = 2, #KEYS do
    local version, data = ARGV[2 * i], ARGV[2 * i + 1]
    local name = string.sub(KEYS[i], #prefix + 1)
    local held = redis.call('GET', KEYS[i]) or '0\n'
    if string.match(held, '^%d+') ~= version then
        kept[i - 1] = 0
    else
        kept[i - 1] = 1
        if data == '' then
            redis.call('DEL', KEYS[i])
            redis.call('ZREM', KEYS[1], name)
        else
            redis.call('SET', KEYS[i], string.format('%d', version + 1) .. '\n' .. data)
            redis.call('ZADD', KEYS[1], now, name)
        end
    end
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[2])
if over > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[1], over)
    for i = 1, #oldest, 2 do redis.call('DEL', prefix .. oldest[i]) end
end
return kept
