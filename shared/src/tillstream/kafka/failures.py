"""aiokafka's errors become ours here and nowhere else. A test proves that every class of theirs is in one of these sets."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as kafka

from tillstream.errors import (
    BrokerUnavailable,
    Misconfigured,
    OwnershipLost,
    RecordTooLarge,
    TillstreamError,
)

# The broker, or the way to it, does not answer or is not ready; the same request may succeed later.
UNAVAILABLE: frozenset[type[Exception]] = frozenset(
    {
        kafka.BrokerNotAvailableError,
        kafka.Cancelled,
        kafka.CorrelationIdError,
        kafka.CorruptRecordException,
        kafka.GroupCoordinatorNotAvailableError,
        kafka.GroupLoadInProgressError,
        kafka.KafkaConnectionError,
        kafka.KafkaProtocolError,
        kafka.KafkaStorageError,
        kafka.KafkaTimeoutError,
        kafka.KafkaUnavailableError,
        kafka.LeaderNotAvailableError,
        kafka.MetadataEmptyBrokerList,
        kafka.NoBrokersAvailable,
        kafka.NodeNotReadyError,
        kafka.NotControllerError,
        kafka.NotCoordinatorForGroupError,
        kafka.NotEnoughReplicasAfterAppendError,
        kafka.NotEnoughReplicasError,
        kafka.NotLeaderForPartitionError,
        kafka.ProducerClosed,
        kafka.QuotaViolationError,
        kafka.ReassignmentInProgress,
        kafka.ReplicaNotAvailableError,
        kafka.RequestTimedOutError,
        kafka.StaleControllerEpochError,
        kafka.StaleLeaderEpochCodeError,
        kafka.StaleMetadata,
        kafka.TooManyInFlightRequests,
        kafka.UnknownError,
        kafka.UnknownTopicOrPartitionError,
    }
)
# The group has moved on without this member, or the place is not its own any more.
LOST: frozenset[type[Exception]] = frozenset(
    {
        kafka.CommitFailedError,
        kafka.IllegalGenerationError,
        kafka.IllegalStateError,
        kafka.RebalanceInProgressError,
        kafka.UnknownMemberIdError,
    }
)
TOO_LARGE: frozenset[type[Exception]] = frozenset(
    {kafka.MessageSizeTooLargeError, kafka.RecordListTooLargeError}
)
# Only a person can change it: rights, versions, settings, and a log that is not the one we know (out of range).
MISCONFIGURED: frozenset[type[Exception]] = frozenset(
    {
        kafka.AuthenticationFailedError,
        kafka.AuthenticationMethodNotSupported,
        kafka.ClusterAuthorizationFailedError,
        kafka.GroupAuthorizationFailedError,
        kafka.IllegalSaslStateError,
        kafka.IncompatibleBrokerVersion,
        kafka.InconsistentGroupProtocolError,
        kafka.InvalidConfigurationError,
        kafka.InvalidGroupIdError,
        kafka.InvalidPartitionsError,
        kafka.InvalidReplicationAssignmentError,
        kafka.InvalidReplicationFactorError,
        kafka.InvalidSessionTimeoutError,
        kafka.InvalidTopicError,
        kafka.KafkaConfigurationError,
        kafka.ListenerNotFound,
        kafka.LogDirNotFound,
        kafka.OffsetOutOfRangeError,
        kafka.PolicyViolationError,
        kafka.SaslAuthenticationFailed,
        kafka.SecurityDisabled,
        kafka.TopicAuthorizationFailedError,
        kafka.UnrecognizedBrokerVersion,
        kafka.UnsupportedCodecError,
        kafka.UnsupportedForMessageFormatError,
        kafka.UnsupportedSaslMechanismError,
        kafka.UnsupportedVersionError,
    }
)
# Ours or aiokafka's mistakes, and parts of Kafka that we do not use: they go through untranslated and end the process.
# KafkaError itself is what aiokafka raises after a background task of its own has died; that client never recovers.
BUGS: frozenset[type[Exception]] = frozenset(
    {
        kafka.BrokerResponseError,
        kafka.ConcurrentTransactions,
        kafka.ConsumerStoppedError,
        kafka.DelegationTokenAuthDisabled,
        kafka.DelegationTokenAuthorizationFailed,
        kafka.DelegationTokenExpired,
        kafka.DelegationTokenNotFound,
        kafka.DelegationTokenOwnerMismatch,
        kafka.DelegationTokenRequestNotAllowed,
        kafka.DuplicateSequenceNumber,
        kafka.FetchSessionIdNotFound,
        kafka.GroupIdNotFound,
        kafka.IllegalArgumentError,
        kafka.IllegalOperation,
        kafka.InvalidCommitOffsetSizeError,
        kafka.InvalidFetchRequestError,
        kafka.InvalidFetchSessionEpoch,
        kafka.InvalidPrincipalType,
        kafka.InvalidProducerEpoch,
        kafka.InvalidProducerIdMapping,
        kafka.InvalidRequestError,
        kafka.InvalidRequiredAcksError,
        kafka.InvalidTimestampError,
        kafka.InvalidTransactionTimeout,
        kafka.InvalidTxnState,
        kafka.KafkaError,
        kafka.MemberIdRequired,
        kafka.NoError,
        kafka.NoOffsetForPartitionError,
        kafka.NonEmptyGroup,
        kafka.OffsetMetadataTooLargeError,
        kafka.OperationNotAttempted,
        kafka.OutOfOrderSequenceNumber,
        kafka.ProducerFenced,
        kafka.RecordTooLargeError,
        kafka.TopicAlreadyExistsError,
        kafka.TransactionCoordinatorFenced,
        kafka.TransactionalIdAuthorizationFailed,
        kafka.UnknownProducerId,
    }
)
MEANINGS: tuple[tuple[frozenset[type[Exception]], type[TillstreamError]], ...] = (
    (UNAVAILABLE, BrokerUnavailable),
    (LOST, OwnershipLost),
    (TOO_LARGE, RecordTooLarge),
    (MISCONFIGURED, Misconfigured),
)
FOREIGN = (kafka.KafkaError, kafka.ConsumerStoppedError, kafka.IllegalOperation, OSError)


def translate(error: BaseException) -> TillstreamError | None:
    """Our error for one of aiokafka's, or None where it is a bug and should go on as it is."""
    for classes, meaning in MEANINGS:
        if type(error) in classes:
            return meaning(f"Kafka: {error}")
    if isinstance(error, OSError):  # a time-out of our own, or a connection refused before aiokafka wraps it
        return BrokerUnavailable(f"Kafka did not answer: {str(error) or type(error).__name__}")
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raises our error in place of aiokafka's, with theirs as its cause."""
    try:
        yield
    except FOREIGN as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error
