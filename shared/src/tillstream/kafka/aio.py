"""The ports on a real broker, by aiokafka."""

from tillstream.kafka.aio_consumer import AioConsumer, ConsumerPolicy
from tillstream.kafka.aio_producer import AioProducer, ProducerPolicy

__all__ = ["AioConsumer", "AioProducer", "ConsumerPolicy", "ProducerPolicy"]
