"""Limits decided in Redis, for all replicas together: many questions in one command.

All limits of a question are decided in one script on Redis' own clock, so that neither replicas nor their clocks
matter. What one limit refuses spends nothing in the others of its question. Questions that travel together are decided
one after the other, as if each had come by itself; they share the command, which costs the client most of a decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from services.common.limits import Decision, Limit, Outcome, check

# KEYS: one a limit. ARGV, for each question: how many limits it has, cost, whether to spend (1 or 0), and for each of
# these limits: count, window in microseconds, burst.
# Returns for each limit: allowed, remaining, microseconds until it would be allowed, microseconds until all is back.
# A key that holds anything else, of whatever type, counts as new and is overwritten.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function numbers(at) return tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]) end
local answer, key, at = {}, 0, 1
while ARGV[at] do
  local limits, cost, spend = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2] == '1'
  local debts = {}
  for i = 1, limits do
    local count, window, burst = numbers(at + 3 * i)
    local value = redis.pcall('GET', KEYS[key + i])
    local whole, rest
    if type(value) == 'string' then whole, rest = string.match(value, '^(%d+):(%d+)$') end
    local debt = 0
    if whole and tonumber(whole) >= now then
      debt = math.min((whole - now) * count + math.min(rest, count - 1), window * burst)
    end
    debts[i] = debt
    if debt + cost * window > window * burst then spend = false end
  end
  for i = 1, limits do
    local count, window, burst = numbers(at + 3 * i)
    local debt, wanted = debts[i], debts[i] + cost * window
    local allowed = wanted <= window * burst
    if spend then
      debt = wanted
      local whole = math.floor(debt / count)
      local value = string.format('%.0f:%.0f', now + whole, debt - whole * count)
      redis.call('SET', KEYS[key + i], value, 'PX', string.format('%.0f', math.ceil(debt / count / 1000) + 1))
    end
    answer[key + i] = {
      allowed and 1 or 0,
      math.floor((window * burst - debt) / window),
      allowed and 0 or math.ceil((wanted - window * burst) / count),
      math.ceil(debt / count),
    }
  end
  key, at = key + limits, at + 3 + 3 * limits
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Question:
    """Limits that are decided as one: `cost` is spent in each or nothing in any, and nothing unless `spend`."""

    limits: Sequence[Limit]
    cost: int = 1
    spend: bool = True

    def __post_init__(self) -> None:
        """Refuse what could never be allowed, before it could spoil others' answers. Raises ValueError."""
        check(self.limits, self.cost)


class Limiter:
    """Asks Redis. Raises what the client raises when Redis is away.

    A call whose answer was lost may be asked again by the client and be counted twice: never too few.
    """

    def __init__(self, redis: Redis, service: str) -> None:
        """Take the client and the name that this service's keys begin with."""
        self._script = redis.register_script(TAKE)
        # the tag in braces puts all keys into one slot: a script may touch no others in a cluster
        self._prefix = f"{service}:{{limit}}:"

    async def take(self, limits: Sequence[Limit], cost: int = 1) -> Decision:
        """Spend `cost` in each limit, or nothing in any. Raises ValueError, RedisError."""
        (decision,) = await self.decide([Question(limits, cost)])
        return decision

    async def look(self, limits: Sequence[Limit], cost: int = 1) -> Decision:
        """What `take` would decide now, without spending."""
        (decision,) = await self.decide([Question(limits, cost, spend=False)])
        return decision

    async def decide(self, questions: Sequence[Question]) -> list[Decision]:
        """Answer all in one command, in their order. Raises RedisError: some may have been counted then."""
        keys: list[str] = []
        numbers: list[int] = []
        for question in questions:
            numbers += (len(question.limits), question.cost, int(question.spend))
            for limit in question.limits:
                keys.append(self._prefix + limit.name)
                numbers += (limit.count, limit.window, limit.at_once)
        answers = iter(await self._script(keys=keys, args=numbers))
        return [Decision(tuple(_outcome(limit, *next(answers)) for limit in asked.limits)) for asked in questions]


def _outcome(limit: Limit, allowed: int, remaining: int, retry_after_us: int, reset_us: int) -> Outcome:
    return Outcome(limit, bool(allowed), remaining, retry_after_us, reset_us)
