import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("name", "version", "endpoints", "grpc_endpoints", "cluster", "grpc_cluster", "served_name", "readiness", "api")
    class Api(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        V2: _ClassVar[Model.Api]
        OPENAI: _ClassVar[Model.Api]
    V2: Model.Api
    OPENAI: Model.Api
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    GRPC_ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GRPC_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SERVED_NAME_FIELD_NUMBER: _ClassVar[int]
    READINESS_FIELD_NUMBER: _ClassVar[int]
    API_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    grpc_endpoints: _containers.RepeatedScalarFieldContainer[str]
    cluster: str
    grpc_cluster: str
    served_name: str
    readiness: Readiness
    api: Model.Api
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., endpoints: _Optional[_Iterable[str]] = ..., grpc_endpoints: _Optional[_Iterable[str]] = ..., cluster: _Optional[str] = ..., grpc_cluster: _Optional[str] = ..., served_name: _Optional[str] = ..., readiness: _Optional[_Union[Readiness, _Mapping]] = ..., api: _Optional[_Union[Model.Api, str]] = ...) -> None: ...

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
    __slots__ = ("name", "default", "candidates", "mirror", "resource_type", "when_unavailable", "timeout", "retry", "stickiness", "holdout", "overrides", "layer", "mirrors", "match")
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
    STICKINESS_FIELD_NUMBER: _ClassVar[int]
    HOLDOUT_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    MIRRORS_FIELD_NUMBER: _ClassVar[int]
    MATCH_FIELD_NUMBER: _ClassVar[int]
    name: str
    default: str
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    mirror: Mirror
    resource_type: Experiment.ResourceType
    when_unavailable: Experiment.WhenUnavailable
    timeout: _duration_pb2.Duration
    retry: Retry
    stickiness: Stickiness
    holdout: float
    overrides: _containers.RepeatedCompositeFieldContainer[Override]
    layer: Layer
    mirrors: _containers.RepeatedCompositeFieldContainer[Mirror]
    match: _struct_pb2.Struct
    def __init__(self, name: _Optional[str] = ..., default: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., mirror: _Optional[_Union[Mirror, _Mapping]] = ..., resource_type: _Optional[_Union[Experiment.ResourceType, str]] = ..., when_unavailable: _Optional[_Union[Experiment.WhenUnavailable, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retry: _Optional[_Union[Retry, _Mapping]] = ..., stickiness: _Optional[_Union[Stickiness, _Mapping]] = ..., holdout: _Optional[float] = ..., overrides: _Optional[_Iterable[_Union[Override, _Mapping]]] = ..., layer: _Optional[_Union[Layer, _Mapping]] = ..., mirrors: _Optional[_Iterable[_Union[Mirror, _Mapping]]] = ..., match: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Stickiness(_message.Message):
    __slots__ = ("header", "cookie", "query", "metadata", "source_ip", "seed", "on_missing")
    class OnMissing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DRAW: _ClassVar[Stickiness.OnMissing]
        DEFAULT: _ClassVar[Stickiness.OnMissing]
    DRAW: Stickiness.OnMissing
    DEFAULT: Stickiness.OnMissing
    HEADER_FIELD_NUMBER: _ClassVar[int]
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SOURCE_IP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    ON_MISSING_FIELD_NUMBER: _ClassVar[int]
    header: str
    cookie: Cookie
    query: str
    metadata: MetadataKey
    source_ip: bool
    seed: str
    on_missing: Stickiness.OnMissing
    def __init__(self, header: _Optional[str] = ..., cookie: _Optional[_Union[Cookie, _Mapping]] = ..., query: _Optional[str] = ..., metadata: _Optional[_Union[MetadataKey, _Mapping]] = ..., source_ip: bool = ..., seed: _Optional[str] = ..., on_missing: _Optional[_Union[Stickiness.OnMissing, str]] = ...) -> None: ...

class Cookie(_message.Message):
    __slots__ = ("name", "ttl")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    name: str
    ttl: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MetadataKey(_message.Message):
    __slots__ = ("namespace", "path")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    path: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, namespace: _Optional[str] = ..., path: _Optional[_Iterable[str]] = ...) -> None: ...

class Override(_message.Message):
    __slots__ = ("candidate", "units")
    CANDIDATE_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    candidate: str
    units: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, candidate: _Optional[str] = ..., units: _Optional[_Iterable[str]] = ...) -> None: ...

class Layer(_message.Message):
    __slots__ = ("name", "first_slot", "last_slot")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRST_SLOT_FIELD_NUMBER: _ClassVar[int]
    LAST_SLOT_FIELD_NUMBER: _ClassVar[int]
    name: str
    first_slot: int
    last_slot: int
    def __init__(self, name: _Optional[str] = ..., first_slot: _Optional[int] = ..., last_slot: _Optional[int] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("name", "weight", "cluster")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: int
    cluster: str
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[int] = ..., cluster: _Optional[str] = ...) -> None: ...

class Mirror(_message.Message):
    __slots__ = ("name", "percent", "cluster")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    name: str
    percent: float
    cluster: str
    def __init__(self, name: _Optional[str] = ..., percent: _Optional[float] = ..., cluster: _Optional[str] = ...) -> None: ...

class Retry(_message.Message):
    __slots__ = ("attempts", "retry_on", "per_try_timeout")
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RETRY_ON_FIELD_NUMBER: _ClassVar[int]
    PER_TRY_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    attempts: int
    retry_on: _containers.RepeatedScalarFieldContainer[str]
    per_try_timeout: _duration_pb2.Duration
    def __init__(self, attempts: _Optional[int] = ..., retry_on: _Optional[_Iterable[str]] = ..., per_try_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
