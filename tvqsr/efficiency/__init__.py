"""What a method costs: parameters, multiply-accumulates, time and memory, in inference and in a training step."""
