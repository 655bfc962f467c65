"""What the cache does inside Redis, each step whole: Lua scripts over the one key of an item.

Fields of the hash: `hold`; `format value fresh_until`; `lease leased_at lease_until`. Times are
milliseconds of Redis' own clock.
"""

# KEYS[1] an item's entry. ARGV: format, a new lease, its milliseconds.
# Returns {value or nil, result, whether leased}.
FIND = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local entry = redis.call('HMGET', KEYS[1], 'hold', 'format', 'value', 'fresh_until', 'lease_until')
if entry[1] then return {false, 'miss', 0} end
local value = entry[2] == ARGV[1] and entry[3]
if value and now < tonumber(entry[4]) then return {value, 'hit', 0} end
local result = value and 'stale' or 'miss'
if entry[5] and now < tonumber(entry[5]) then return {value, result, 0} end
redis.call('HSET', KEYS[1], 'lease', ARGV[2], 'leased_at', now, 'lease_until', now + ARGV[3])
if not entry[3] then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return {value, result, 1}
"""
# ARGV: lease, format, value, soft and hard lifetime in milliseconds. Returns whether the lease was good.
# PEXPIREAT takes no 1.8e+12, which is how some servers write the number without a format.
FILL = """
local entry = redis.call('HMGET', KEYS[1], 'lease', 'leased_at')
if entry[1] ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'format', ARGV[2], 'value', ARGV[3], 'fresh_until', entry[2] + ARGV[4])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', entry[2] + ARGV[5]))
return 1
"""
# ARGV: lease.
GIVE_BACK = """
if redis.call('HGET', KEYS[1], 'lease') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'lease', 'leased_at', 'lease_until')
end
return 1
"""
# ARGV: the writer's token, milliseconds.
HOLD = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'hold', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
# ARGV: the writer's token. Another's hold stays: that writer is not done, and lifts it.
FORGET = """
local hold = redis.call('HGET', KEYS[1], 'hold')
if not hold or hold == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
