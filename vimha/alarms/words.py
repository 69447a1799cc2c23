"""The closed lists of the alarm world: severities, event types, probable causes and so on.

Invariant: each value is spelt as its standard spells it: ETSI GS NFV-SOL 003 (clause 7.5.4) for what it lists, ITU-T
X.733 and X.736 for probable causes, in the ASN.1 spelling.
"""

from enum import StrEnum


class Severity(StrEnum):
    """perceivedSeverity (X.733, 8.1.2.3; SOL003, 7.5.4.3)."""

    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    WARNING = "WARNING"
    INDETERMINATE = "INDETERMINATE"
    CLEARED = "CLEARED"

    @property
    def rank(self) -> int:
        """The higher, the worse; 0 is cleared. Indeterminate may be anything, so it ranks with a warning."""
        return RANKS[self]


RANKS = {
    Severity.CRITICAL: 4, Severity.MAJOR: 3, Severity.MINOR: 2, Severity.WARNING: 1, Severity.INDETERMINATE: 1,
    Severity.CLEARED: 0,
}  # fmt: skip


class EventType(StrEnum):
    """eventType (X.733, 8.1.1; SOL003, 7.5.4.5)."""

    COMMUNICATIONS = "COMMUNICATIONS_ALARM"
    PROCESSING_ERROR = "PROCESSING_ERROR_ALARM"
    ENVIRONMENTAL = "ENVIRONMENTAL_ALARM"
    QOS = "QOS_ALARM"
    EQUIPMENT = "EQUIPMENT_ALARM"


class AckState(StrEnum):
    """ackState (SOL003, 7.5.2.4)."""

    UNACKNOWLEDGED = "UNACKNOWLEDGED"
    ACKNOWLEDGED = "ACKNOWLEDGED"


class ResourceType(StrEnum):
    """faultyResourceType (SOL003, 7.5.4.4)."""

    COMPUTE = "COMPUTE"
    STORAGE = "STORAGE"
    NETWORK = "NETWORK"


class ClearingType(StrEnum):
    """Whether what raised an alarm also clears it, or an operator must."""

    AUTOMATIC = "AUTOMATIC"
    MANUAL = "MANUAL"


class FaultDomain(StrEnum):
    """Where in the VIM the fault is: the distinction that row B7 asks for."""

    HOST_HW = "HOST_HW"
    HOST_OS = "HOST_OS"
    HYPERVISOR = "HYPERVISOR"
    COMPUTE_SERVICE = "COMPUTE_SERVICE"
    VSWITCH = "VSWITCH"
    VM = "VM"
    CONTROL_SERVICE = "CONTROL_SERVICE"
    SDN = "SDN"
    NETWORK = "NETWORK"


class ProbableCause(StrEnum):
    """Probable causes (X.733, Annex A, and X.736 for what it adds): those that make sense in a VIM."""

    ADAPTER_ERROR = "adapterError"
    APPLICATION_SUBSYSTEM_FAILURE = "applicationSubsystemFailure"
    BANDWIDTH_REDUCED = "bandwidthReduced"
    COMMUNICATIONS_PROTOCOL_ERROR = "communicationsProtocolError"
    COMMUNICATIONS_SUBSYSTEM_FAILURE = "communicationsSubsystemFailure"
    CONFIGURATION_OR_CUSTOMIZATION_ERROR = "configurationOrCustomizationError"
    CONGESTION = "congestion"
    CORRUPT_DATA = "corruptData"
    CPU_CYCLES_LIMIT_EXCEEDED = "cpuCyclesLimitExceeded"
    DEGRADED_SIGNAL = "degradedSignal"
    ENCLOSURE_DOOR_OPEN = "enclosureDoorOpen"
    EQUIPMENT_MALFUNCTION = "equipmentMalfunction"
    EXCESSIVE_VIBRATION = "excessiveVibration"
    FILE_ERROR = "fileError"
    FIRE_DETECTED = "fireDetected"
    FLOOD_DETECTED = "floodDetected"
    HEATING_VENT_COOLING_SYSTEM_PROBLEM = "heatingVentCoolingSystemProblem"
    HUMIDITY_UNACCEPTABLE = "humidityUnacceptable"
    INPUT_OUTPUT_DEVICE_ERROR = "inputOutputDeviceError"
    LAN_ERROR = "lanError"
    LEAK_DETECTED = "leakDetected"
    LOSS_OF_SIGNAL = "lossOfSignal"
    MULTIPLEXER_PROBLEM = "multiplexerProblem"
    OUT_OF_MEMORY = "outOfMemory"
    PERFORMANCE_DEGRADED = "performanceDegraded"
    POWER_PROBLEM = "powerProblem"
    PROCESSOR_PROBLEM = "processorProblem"
    PUMP_FAILURE = "pumpFailure"
    QUEUE_SIZE_EXCEEDED = "queueSizeExceeded"
    RECEIVE_FAILURE = "receiveFailure"
    REMOTE_NODE_TRANSMISSION_ERROR = "remoteNodeTransmissionError"
    RESOURCE_AT_OR_NEARING_CAPACITY = "resourceAtOrNearingCapacity"
    RESPONSE_TIME_EXCESSIVE = "responseTimeExcessive"
    RETRANSMISSION_RATE_EXCESSIVE = "retransmissionRateExcessive"
    SOFTWARE_ERROR = "softwareError"
    SOFTWARE_PROGRAM_ABNORMALLY_TERMINATED = "softwareProgramAbnormallyTerminated"
    SOFTWARE_PROGRAM_ERROR = "softwareProgramError"
    STORAGE_CAPACITY_PROBLEM = "storageCapacityProblem"
    TEMPERATURE_UNACCEPTABLE = "temperatureUnacceptable"
    THRESHOLD_CROSSED = "thresholdCrossed"
    TIMING_PROBLEM = "timingProblem"
    TRANSMIT_FAILURE = "transmitFailure"
    UNDERLYING_RESOURCE_UNAVAILABLE = "underlyingResourceUnavailable"
    VERSION_MISMATCH = "versionMismatch"


class NotificationType(StrEnum):
    """notificationType (SOL003, 7.5.2.5 to 7.5.2.7), and ours for row B8, which a subscription must name."""

    ALARM = "AlarmNotification"
    CLEARED = "AlarmClearedNotification"
    REBUILT = "AlarmListRebuiltNotification"
    NODE_HEALTH = "NodeHealthNotification"
