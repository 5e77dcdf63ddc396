"""Networks and losses that more than one method uses.

Blocks, attention, quantizers, discriminators, adversarial and perceptual losses.
"""
