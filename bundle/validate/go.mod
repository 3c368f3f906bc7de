module github.com/finos/5-spot/bundle/validate

go 1.26.3

require (
	github.com/operator-framework/api v0.45.0
	github.com/operator-framework/operator-registry v1.73.0
)

tool github.com/operator-framework/operator-registry/cmd/opm
