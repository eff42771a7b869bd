"""LeakGAN: hierarchical generation with leaked discriminator features."""
