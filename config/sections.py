"""Every section that a configuration file may have, and the settings class it fills."""

from __future__ import annotations

from typing import Any

from config.encoder import EncoderSettings
from config.fill import FillSettings
from config.licences import LicenceSettings
from config.oca import OcaSettings
from config.origin import OriginSettings
from config.steering import SteeringSettings

SECTIONS: dict[str, type[Any]] = {
    "encoder": EncoderSettings,
    "origin": OriginSettings,
    "licences": LicenceSettings,
    "oca": OcaSettings,
    "fill": FillSettings,
    "steering": SteeringSettings,
}
