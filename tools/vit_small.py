"""ViT-S/16 (Dosovitskiy 2021, Touvron 2021) as torchvision.models.vit_small.

Written with what PyTorch's FX can trace and quantize: its tracer refuses torchvision's own
VisionTransformer, and nn.MultiheadAttention would stay in float.
"""
import torch
import torch.nn as nn
import torchvision

WIDTH, HEADS, LAYERS, PATCH, IMAGE = 384, 6, 12, 16, 224


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)

    @staticmethod
    def heads(x):
        patches = (IMAGE // PATCH) ** 2
        return x.reshape(-1, patches, HEADS, WIDTH // HEADS).transpose(1, 2)

    def forward(self, x):
        q, k, v = self.heads(self.q(x)), self.heads(self.k(x)), self.heads(self.v(x))
        scores = torch.matmul(q, k.transpose(2, 3)) * (WIDTH // HEADS) ** -0.5
        mixed = torch.matmul(torch.softmax(scores, 3), v)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VitSmall(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        patches = (IMAGE // PATCH) ** 2
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.positions = nn.Parameter(torch.randn(1, patches, WIDTH) * 0.02)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, num_classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.layers(x)).mean(1))


torchvision.models.vit_small = VitSmall
