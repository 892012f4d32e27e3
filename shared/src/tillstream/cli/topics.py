"""`tillstream topics`: creates the topics that are missing and checks the others."""

import argparse
import asyncio

from pydantic import Field

from tillstream.contracts.topics import TOPICS
from tillstream.kafka.topics import ensure_topics
from tillstream.settings import BrokerAddresses, ServiceSettings, load_settings

DEADLINE_S = 30.0


class TopicsSettings(ServiceSettings):
    """What the command needs to know."""

    kafka_bootstrap: BrokerAddresses = Field(
        default="127.0.0.1:9092", description="Kafka's addresses, `host:port`, separated by commas."
    )


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declares the command's arguments."""
    parser = subparsers.add_parser(
        "topics", help="create the topics that are missing and check the others; safe to run again"
    )
    parser.add_argument(
        "--replicas", type=int, default=1, help="copies of every partition of a new topic (default: 1)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Creates and checks; 0 where every topic is as this release wants it."""
    settings = load_settings(TopicsSettings)
    created = asyncio.run(
        ensure_topics(settings.kafka_bootstrap, TOPICS, deadline_s=DEADLINE_S, replicas=args.replicas)
    )
    for topic in created:
        print(f"Created topic {topic}.")
    print(f"All {len(TOPICS)} topics are as this release wants them.")
    return 0
