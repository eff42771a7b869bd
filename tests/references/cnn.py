"""The usual convolutional classifier: one Conv2d per width, maximum over time, a highway layer."""

import torch
from torch import Tensor, nn

from seqgan.models.cnn import CNNDiscriminator


class PlainCNN(nn.Module):
    """The usual convolutional classifier with the weights of ours; a width that does not fit gives 0."""

    def __init__(self, ours: CNNDiscriminator) -> None:
        super().__init__()
        config, num_features = ours.settings, sum(ours.settings.num_filters)
        self.embedding = nn.Embedding.from_pretrained(ours.embedding)
        self.convolutions = nn.ModuleList()
        for width, weight, bias in zip(config.widths, ours.filters, ours.filter_biases, strict=True):
            convolution = nn.Conv2d(1, len(weight), (width, config.embedding_size))
            convolution.weight.data = weight.data.view_as(convolution.weight)
            convolution.bias.data = bias.data
            self.convolutions.append(convolution)
        self.transform = nn.Linear(num_features, num_features)
        self.gate = nn.Linear(num_features, num_features)
        self.output = nn.Linear(num_features, 1)
        self.transform.weight.data, self.gate.weight.data = ours.highway_weight.data.chunk(2)
        self.transform.bias.data, self.gate.bias.data = ours.highway_bias.data.chunk(2)
        self.output.weight.data, self.output.bias.data = ours.output_weight.data, ours.output_bias.data

    def features(self, tokens: Tensor) -> Tensor:
        image = self.embedding(tokens)[:, None]
        maxima = [
            convolution(image).relu().squeeze(3).max(2).values
            if tokens.shape[1] >= convolution.kernel_size[0]
            else image.new_zeros(len(image), convolution.out_channels)
            for convolution in self.convolutions
        ]
        pooled = torch.cat(maxima, 1)
        gate = self.gate(pooled).sigmoid()
        return gate * self.transform(pooled).relu() + (1 - gate) * pooled

    def forward(self, tokens: Tensor) -> Tensor:
        return self.output(self.features(tokens)).squeeze(1)
