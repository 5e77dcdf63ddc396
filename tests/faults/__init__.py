"""What may go wrong around the work: kills, damage, full disks, numbers that are not finite, strangers' files."""
