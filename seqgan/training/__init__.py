"""Maximum likelihood, discriminator and adversarial training in one loop."""
