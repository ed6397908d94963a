# %% [markdown]
# # Reverse-engineering circuits: the cells about factored matrices
# The notebook's cells in their order. Only imports, the device and the path of the network are other ones: where the
# environment variable REFRACTOR_MODEL names no other, a checkpoint of GPT-2 small's shape with random weights is written
# and loaded.

# %%
import os
import tempfile

import torch

import refractor.compat.notebooks.gpt2_circuits as utils
from refractor import FactoredMatrix, HookedTransformer
from refractor.checkpoints import drawn, save_pretrained
from refractor.compat.notebooks.gpt2_circuits import GPT2_SMALL, imshow, scatter

place = tempfile.TemporaryDirectory()
MODEL = os.environ.get("REFRACTOR_MODEL") or str(save_pretrained(drawn(GPT2_SMALL), place.name))

# set grad to false cuz we dont need to train
torch.set_grad_enabled(False)

# %% [markdown]
# # Factored matrices

# %%
torch.manual_seed(50)

A = torch.randn(5, 2)
B = torch.randn(2, 5)

AB = A @ B
AB_factored = FactoredMatrix(A, B)

print("Norms:")
print("AB:", AB.norm())
print("AB_factored:", AB_factored.norm())

print(f"Right dim: {AB_factored.rdim}, left dim: {AB_factored.ldim}, hidden dim: {AB_factored.mdim}")

# %% [markdown]
# # eigenvalues and singular values

# %%
print("Eigenvalues:")
print(torch.linalg.eig(AB).eigenvalues)
print(AB_factored.eigenvalues)
print()
print("Singular Values:")
print(torch.linalg.svd(AB).S)
print(AB_factored.S)

# %% [markdown]
# # Multiplication

# %%
C = torch.randn(5, 300)

ABC = AB @ C
ABC_factor = AB_factored @ C

print("Unfactored:", ABC.shape, ABC.norm().round(decimals=3))
print("Factored:", ABC_factor.shape, ABC_factor.norm().round(decimals=3))
print(f"Right dimension: {ABC_factor.rdim}, Left dimension: {ABC_factor.ldim}, Hidden dimension: {ABC_factor.mdim}")

# %%
# get original AB
AB_unfactored = AB_factored.AB
print(torch.isclose(AB_unfactored, AB).all())

# %%
# set device
device = utils.get_device()
print(f"Using device: {device}")

# %%
device="cpu"

# %%
model = HookedTransformer.from_pretrained(MODEL, device=device)
place.cleanup()  # the network is in memory

# %%
OV_circuit_all_heads = model.OV
print(OV_circuit_all_heads)

# eigenvalues
OV_circuit_all_heads_eigenvalues = OV_circuit_all_heads.eigenvalues
print(OV_circuit_all_heads_eigenvalues.shape)
print(OV_circuit_all_heads_eigenvalues.dtype)

# %%
OV_copying_score = OV_circuit_all_heads_eigenvalues.sum(dim=-1).real / OV_circuit_all_heads_eigenvalues.abs().sum(dim=-1)
scores_figure = imshow(utils.to_numpy(OV_copying_score), xaxis="Head", yaxis="Layer", title="OV Copying Score for each head in GPT-2 Small", zmax=1.0, zmin=-1.0)

# %%
eigenvalues_figure = scatter(x=OV_circuit_all_heads_eigenvalues[-1, -1, :].real, y=OV_circuit_all_heads_eigenvalues[-1, -1, :].imag, title="Eigenvalues of Head L11H11 of GPT-2 Small", xaxis="Real", yaxis="Imaginary")

# %% [markdown]
# # full ov circuit

# %%
full_ov_circuit = model.embed.W_E @ OV_circuit_all_heads @ model.unembed.W_U
print(full_ov_circuit)
full_ov_circuit_eigenvalues = full_ov_circuit.eigenvalues
print(full_ov_circuit_eigenvalues.shape)
print(full_ov_circuit_eigenvalues.dtype)

# display copying score
full_ov_circuit_copying_score = full_ov_circuit_eigenvalues.sum(dim=-1).real / full_ov_circuit_eigenvalues.abs().sum(dim=-1)
full_scores_figure = imshow(utils.to_numpy(full_ov_circuit_copying_score), xaxis="Head", yaxis="Layer", title="Full OV Copying Score for each head in GPT-2 Small", zmax=1.0, zmin=-1.0)

# %%
both_figure = scatter(x=full_ov_circuit_copying_score.flatten(), y=OV_copying_score.flatten(), hover_name=[f"L{layer}H{head}" for layer in range(12) for head in range(12)], title="OV Copying Score for each head in GPT-2 Small", xaxis="Full OV Copying Score", yaxis="OV Copying Score")
