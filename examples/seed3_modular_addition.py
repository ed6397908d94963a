# %% [markdown]
# # Modular addition
# The notebook's cells in their order. Only imports, the device and the path of the network are other ones.

# %%
import einops
import numpy as np
import plotly.express as px
import torch
from scipy import fft

import refractor
from refractor.compat.notebooks import modular_addition as fourier_analysis
from refractor.compat.notebooks import modular_addition as task
from refractor.compat.notebooks import modular_addition as utils
from refractor.compat.notebooks.modular_addition import const, plot

# %%
hooked_model: refractor.HookedTransformer = utils.load_model(
    path=const.MODEL_SAVE_PATH,
    mod=const.MOD,
    device="cpu",
)

# %%
# Make a dataset and labels for the model
dataset, labels = task.make_dataset_and_labels(
    p=const.MOD,
    device="cpu",
)
print(f"Dataset shape: {dataset.shape[0]:,},\t\t{dataset.shape[1]}")
print(f"Dataset shape: {const.MOD} x {const.MOD},\t[a, b, =]")

# %%
# Get a prediction for every possible input and cache the activations
original_logits, cache = hooked_model.run_with_cache(dataset)

# %%
for param_name, param in cache.items():
    print(param_name, param.shape)

# %%
# W_neur = W_E @ W_V @ W_O @ W_in
# The linear transformation from the input to the ReLU
W_E = hooked_model.embed.W_E[:-1]
print("W_E", W_E.shape)

# W_logit = W_out @ W_U
# The linear transformation from the ReLU to the logits
W_neur = (
    W_E
    @ hooked_model.blocks[0].attn.W_V
    @ hooked_model.blocks[0].attn.W_O
    @ hooked_model.blocks[0].mlp.W_in
)
print("W_neur", W_neur.shape)

# W_logit = W_out @ W_U
# The linear transformation from the ReLU to the logits
W_logit = hooked_model.blocks[0].mlp.W_out @ hooked_model.unembed.W_U
print("W_logit", W_logit.shape)

# %% [markdown]
# ## Basic Analysis
# ### Plotting Attention Patterns

# %%
neuron_activations = cache["post", 0, "mlp"][:, -1, :]

# %%
average_pattern = plot.imshow(
    cache["pattern", 0].mean(dim=0)[:, -1, :],
    title="Average Attention Pattern per Head",
    xaxis="Source",
    yaxis="Head",
    x=["a", "b", "="],
    y=[f"Head {i}" for i in range(4)],
    width=800,
    height=800,
)
average_pattern

# %%
one_pattern = plot.imshow(
    cache["pattern", 0][5][:, -1, :],
    title="Attention Pattern for Head",  # TODO: what is this?
    xaxis="Source",
    yaxis="Head",
    x=["a", "b", "="],
    y=[f"Head {i}" for i in range(4)],
    width=800,
    height=800,
)
one_pattern

# %%
attention_to_a = plot.imshow(
    einops.rearrange(
        cache["pattern", 0][:, :, -1, 0],
        "(a b) head -> head a b",
        a=const.MOD,
        b=const.MOD,
    ),
    title="Attention for each head from a -> =",
    xaxis="b",
    yaxis="a",
    facet_col=0,
)
attention_to_a

# %%
neurons = plot.imshow(
    einops.rearrange(
        neuron_activations[:, :5],
        "(a b) neuron -> neuron a b",
        a=const.MOD,
        b=const.MOD,
    ),
    title="First 5 neuron activations",
    xaxis="b",
    yaxis="a",
    facet_col=0,
).for_each_annotation(lambda a: a.update(text=f'Neuron {int(a.text.split("=")[-1]) + 1}'))
neurons

# %% [markdown]
# ### Singular Value Decomposition

# %%
U, S, _ = torch.linalg.svd(W_E)

# %%
singular_values = px.line(
    S.detach().numpy(),
    title="Singular Values",
    labels={"x":"Input Vocabulary"},
    template=plot.TEMPLATE,
).update_layout(showlegend=False)
singular_values

# %%
# The singular values plot shows the first 8 elements of the embeddings are the most important
# The next two are slightly important, the rest are basically unused.
singular_vectors = plot.imshow(
    U[:, :10],
    title="First 8 columns of the Singular Value Matrix",
    aspect="auto",
    xaxis="Input Vocabulary",
)
singular_vectors

# %% [markdown]
# ## Frequency Analysis

# %%
principal_components = U[:, :8].sum(dim=1).detach().numpy()
yf = fft.fft(principal_components)
amplitudes = px.line(
    x=np.arange(const.MOD // 2),
    y=2.0 / const.MOD * np.abs(yf[0 : const.MOD // 2]),
    labels={"x": "Frequency", "y": "Amplitude"},
    template=plot.TEMPLATE,
)
amplitudes

# %%
fourier_basis, fourier_basis_names = fourier_analysis.make_fourier_basis(
    base=const.MOD, device="cpu"
)
basis_figure = plot.imshow(
    fourier_basis, xaxis="Input", yaxis="Component", y=fourier_basis_names
)
basis_figure

# %% [markdown]
# Multiplying the Fourier basis by the embedding shows which sines and cosines it is made of.

# %%
embedding_figure = plot.imshow(
    fourier_basis @ W_E,
    yaxis="Fourier Component",
    xaxis="Residual Stream",
    y=fourier_basis_names,
    title="Embedding in Fourier Basis",
)
embedding_figure
