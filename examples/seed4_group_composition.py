# %% [markdown]
# # Group composition
# The notebook's cells in their order. Only imports, magics, the device and the paths are other ones.

# %%
import copy
import os

import torch
import torch.nn.functional as F

from refractor.compat.notebooks.group_composition import (
    generate_train_test_data,
    imshow,
    load_cfg,
    load_weights,
    loss_fn,
)

# %% [markdown]
# ## Interpretability Set Up
# The network that comes with the package; or the folder of another one (`cfg.json` and `model.pt` of the 2023 study, or
# a run of ours), as GROUP_RUN=/path/to/1L_MLP_sym_S4_cached.

# %%
task_dir = os.environ.get("GROUP_RUN", "composition-S4")
seed, frac_train, width, lr, group_param, weight_decay, num_epochs, group_type, architecture_type, metrics = load_cfg(task_dir)
group = group_type(group_param)
model = architecture_type(width, group.order, seed)
model.load_state_dict(load_weights(task_dir))
model.eval()
all_data, _, all_labels, _ = generate_train_test_data(group, frac_train = 1)
logits, activations = model.run_with_cache(all_data, return_cache_object=False)
activations['logits'] = logits

# %% [markdown]
# ## Visualise the Weights

# %%
imshow(model.W_E_a)
imshow(model.W_E_b)
imshow(model.W)
imshow(model.W_U)

# %% [markdown]
# ## Understanding Activation Patterns
# ### Understanding Individual Neuron Activations

# %%
# first, reshape from (batch) to (group.order, group.order) so that we may easily fourier transform on each of the two input dimensions.

for key, value in activations.items():
    activations[key] = value.reshape(group.order, group.order, -1)

# %%
for x in range(group.order):
    print(f'{x}: {group.idx_to_perm(x)}, signature: {group.signature(x)}, order: {group.perm_order(x)}')

# %%
hidden = activations['hidden']
neurons = [3, 7, 8, 13, 15, 16, 19, 24, 33, 34, 36, 39] # checked 0-39 for blocky neurons
for neuron in neurons:
    imshow(hidden[:, :, neuron], title=f'hidden activations, neuron {neuron}', input1='position 1', input2='position 2')

# %%
logits = activations['logits']
for neuron in range(10):
    imshow(logits[:, :, neuron], title=f'logit {neuron}', input1='position 1', input2='position 2')

# %% [markdown]
# ## Understanding Logit Computation

# %%
group.compute_natural_rep()
def compute_trace_tensor_cube(group, all_data):
  N = all_data.shape[0]
  t = torch.zeros((group.order*group.order, group.order), dtype=torch.float)
  for i in range(N):
    if i%1000 == 0:
      print(f'progress: {i} / {N}')
    x = all_data[i, 0]
    x_rep = group.natural_rep(x.item())
    y = all_data[i, 1]
    y_rep = group.natural_rep(y.item())
    temp = x_rep.mm(y_rep)
    for z_idx in range(group.order):
      z_rep = group.natural_rep(z_idx)
      t[i, z_idx] = torch.trace(temp.mm(z_rep.T)) # transpose is inverse here
  return t.reshape(group.order, group.order, group.order)

trace = compute_trace_tensor_cube(group, all_data)

# %% [markdown]
# correct for logits not caring about an additive constant
#
# (The mean is over the last axis but without `keepdim`, so that it is taken from the wrong axis. The figures that the
# notebook prints are those of this cell as it stands; `refractor.lab` centres right unless it is asked for this.)

# %%
logits = activations['logits']
centred_logits = logits - logits.mean(-1)
centred_trace = trace - trace.mean(-1)

# %%
for neuron in range(10):
    imshow(centred_logits[:, :, neuron], title=f'real logit {neuron}', input1='position 1', input2='position 2')
    imshow(centred_trace[:, :, neuron], title=f'hypothesised logit {neuron}', input1='position 1', input2='position 2')

# %%
for neuron in range(10):
    imshow(centred_logits[neuron, :, :], title=f'real logits with position 1 fixed as {neuron}', input1='position 2', input2='logit')
    imshow(centred_trace[neuron, :, :], title=f'hypothesised logits with position 1 fixed as {neuron}', input1='position 2', input2='logit')

# %% [markdown]
# Cosine similarity over all logits, mean over all inputs.

# %%
centred_logits = centred_logits.reshape(group.order*group.order,-1)
centred_trace = centred_trace.reshape(group.order*group.order,-1)
sims = F.cosine_similarity(centred_logits, centred_trace, dim=-1)
print(f'cosine similarity pre softmax {sims.mean()}')

centred_logits_softmax = F.softmax(centred_logits, dim=-1)
centred_trace_softmax = F.softmax(centred_trace, dim=-1)

softmax_sims = F.cosine_similarity(centred_logits_softmax, centred_trace_softmax, dim=-1).mean()
print(f'cosine similarity post softmax {softmax_sims.mean()}')

norms = torch.linalg.norm(centred_logits, dim=-1) 
scalar_projects = norms * sims 
unit_trace_logits = centred_trace / torch.linalg.norm(centred_trace, dim=-1, keepdim=True)
projects = unit_trace_logits * scalar_projects.unsqueeze(-1)
frac_explained = projects.pow(2).sum(0) / centred_logits.pow(2).sum(0)
print(f'fraction of variance of logit explained by the trace logits {frac_explained.mean()}')

# %% [markdown]
# # Understanding the embeddings

# %%
u_a,s_a,v_a = torch.linalg.svd(model.W_E_a) 
print(s_a)

u_b,s_b,v_b = torch.linalg.svd(model.W_E_b)

# %% [markdown]
# What happens if we take the low rank approximation gained from the first 9 singular values?

# %%
k=9
new_model = copy.deepcopy(model)
new_model.W_E_a = torch.nn.Parameter(u_a[:, :k] @ torch.diag(s_a[:k]) @ v_a[:k, :])
new_model.W_E_b = torch.nn.Parameter(u_b[:, :k] @ torch.diag(s_b[:k]) @ v_b[:k, :])
logits = model(all_data)
new_logits = new_model(all_data)
loss_new = loss_fn (new_logits, all_labels)
loss = loss_fn (logits, all_labels)

print(f'baselines loss {loss.item()}')
print(f'loss with only the largest 9 singular values of embeddings {loss_new.item()}')

# %% [markdown]
# The natural representation has a one-dimensional invariant subspace, spanned by the sum of all basis vectors.

# %%
natural_reps = group.natural_reps.reshape(group.order, group.index*group.index)
u, s, v = torch.linalg.svd(natural_reps)
print(s)
