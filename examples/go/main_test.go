package main

import (
	"reflect"
	"testing"
)

func TestCountsMostFrequentFirst(t *testing.T) {
	got := countWords("To be or not to be")
	want := []count{{"be", 2}, {"to", 2}, {"not", 1}, {"or", 1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
