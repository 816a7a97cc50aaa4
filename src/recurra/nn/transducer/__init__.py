"""The recurrent neural network transducer: its loss, its joint and its prediction network."""

from recurra.nn.transducer.joint import Joint
from recurra.nn.transducer.loss import transducer_loss
from recurra.nn.transducer.prediction_network import PredictionNetwork
from recurra.nn.transducer.transducer_head import Transducer

__all__ = ["Joint", "PredictionNetwork", "Transducer", "transducer_loss"]
