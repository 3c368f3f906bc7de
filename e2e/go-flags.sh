# To be sourced by every build with Go: with one set of flags, what several builds share is compiled once. Nothing here is
# run in a debugger, and without its tables compiling takes an eighth less.
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -gcflags=all=-dwarf=false${GO_TAGS:+ -tags=$GO_TAGS}"
