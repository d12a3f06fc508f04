//go:build !linux

package main

import (
	"errors"
	"testing"

	"github.com/meshwright/meshwright/cmd/meshwright/internal/lab"
)

func needNetworks(t testing.TB) { t.Skip("network namespaces are Linux's") }

func newNamespaces(*lab.Lab) (ground, error) { return nil, errors.ErrUnsupported }
