"""Apart, for its client is installed only where REDIS_URL is used."""

from django_q.brokers.redis_broker import Redis

from .queue import NamedTasksOnly


class RedisQueue(NamedTasksOnly, Redis):
    pass
