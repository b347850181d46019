// The CRDs of Flux's source-controller, out of its own release; nothing of it is compiled.
module rempart/tests/cluster/modules/flux-sources

go 1.26.0

require github.com/fluxcd/source-controller v1.9.6
