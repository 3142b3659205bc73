"""Which schedule, peak, warmup and length suit a training: from what its files say, with the reason for each."""
