"""Why a build failed, from its log alone: pure functions over the text that docker and pip print."""

from algoprof.calls.diagnosis.diagnosing import diagnose
from algoprof.calls.diagnosis.logs import LARGEST, Step
from algoprof.calls.diagnosis.pins import pinned
from algoprof.calls.diagnosis.reasons import Reason
from algoprof.calls.diagnosis.verdicts import Diagnosis

__all__ = ["LARGEST", "Diagnosis", "Reason", "Step", "diagnose", "pinned"]
