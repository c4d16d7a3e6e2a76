import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("name", "version", "endpoints", "grpc_endpoints", "cluster", "grpc_cluster", "served_name", "readiness")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    GRPC_ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GRPC_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SERVED_NAME_FIELD_NUMBER: _ClassVar[int]
    READINESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    grpc_endpoints: _containers.RepeatedScalarFieldContainer[str]
    cluster: str
    grpc_cluster: str
    served_name: str
    readiness: Readiness
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., endpoints: _Optional[_Iterable[str]] = ..., grpc_endpoints: _Optional[_Iterable[str]] = ..., cluster: _Optional[str] = ..., grpc_cluster: _Optional[str] = ..., served_name: _Optional[str] = ..., readiness: _Optional[_Union[Readiness, _Mapping]] = ...) -> None: ...

class Readiness(_message.Message):
    __slots__ = ("path", "interval", "disabled")
    PATH_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    path: str
    interval: _duration_pb2.Duration
    disabled: bool
    def __init__(self, path: _Optional[str] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., disabled: bool = ...) -> None: ...

class Experiment(_message.Message):
    __slots__ = ("name", "default", "candidates", "mirror", "resource_type", "when_unavailable", "timeout", "retry")
    class ResourceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODEL: _ClassVar[Experiment.ResourceType]
        PIPELINE: _ClassVar[Experiment.ResourceType]
    MODEL: Experiment.ResourceType
    PIPELINE: Experiment.ResourceType
    class WhenUnavailable(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        AVAILABLE_CANDIDATES: _ClassVar[Experiment.WhenUnavailable]
        DEFAULT_ONLY: _ClassVar[Experiment.WhenUnavailable]
        REJECT: _ClassVar[Experiment.WhenUnavailable]
    AVAILABLE_CANDIDATES: Experiment.WhenUnavailable
    DEFAULT_ONLY: Experiment.WhenUnavailable
    REJECT: Experiment.WhenUnavailable
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    WHEN_UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    name: str
    default: str
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    mirror: Mirror
    resource_type: Experiment.ResourceType
    when_unavailable: Experiment.WhenUnavailable
    timeout: _duration_pb2.Duration
    retry: Retry
    def __init__(self, name: _Optional[str] = ..., default: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., mirror: _Optional[_Union[Mirror, _Mapping]] = ..., resource_type: _Optional[_Union[Experiment.ResourceType, str]] = ..., when_unavailable: _Optional[_Union[Experiment.WhenUnavailable, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("name", "weight")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: int
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[int] = ...) -> None: ...

class Mirror(_message.Message):
    __slots__ = ("name", "percent")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    percent: float
    def __init__(self, name: _Optional[str] = ..., percent: _Optional[float] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("attempts", "retry_on", "per_try_timeout")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_FIELD_NUMBER: _ClassVar[int]
    PER_TRY_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    retry_on: _containers.RepeatedScalarFieldContainer[str]
    per_try_timeout: _duration_pb2.Duration
    def __init__(self, attempts: _Optional[int] = ..., retry_on: _Optional[_Iterable[str]] = ..., per_try_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
