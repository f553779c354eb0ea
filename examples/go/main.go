// wordfreq counts the words of its arguments, the most frequent first.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

var version = "unknown"

type count struct {
	word  string
	times int
}

func countWords(text string) []count {
	times := map[string]int{}
	for _, word := range strings.Fields(strings.ToLower(text)) {
		times[word]++
	}
	counts := make([]count, 0, len(times))
	for word, n := range times {
		counts = append(counts, count{word, n})
	}
	sort.Slice(counts, func(i, j int) bool {
		if counts[i].times != counts[j].times {
			return counts[i].times > counts[j].times
		}
		return counts[i].word < counts[j].word
	})
	return counts
}

func main() {
	fmt.Println("wordfreq", version)
	for _, c := range countWords(strings.Join(os.Args[1:], " ")) {
		fmt.Println(c.times, c.word)
	}
}
