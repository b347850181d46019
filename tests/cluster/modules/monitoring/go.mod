// The CRDs of the Prometheus operator, out of its own release; nothing of it is compiled.
module rempart/tests/cluster/modules/monitoring

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
