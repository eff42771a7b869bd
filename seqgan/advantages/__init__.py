"""From rewards to action values, baselines and advantages."""
