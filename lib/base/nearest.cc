#include "base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace imagebuild {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// Damerau-Levenshtein distance, restricted to adjacent transpositions.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) table[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) table[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[a.size()][b.size()];
}

constexpr std::size_t kLongestWord = 64;
constexpr std::size_t kShortestBeginning = 3;

}  // namespace

std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates) {
  if (word.empty() || word.size() > kLongestWord) return std::nullopt;
  const std::string wanted = lower(word);
  std::optional<std::string> best;
  std::size_t best_distance = SIZE_MAX;
  for (const std::string& candidate : candidates) {
    if (candidate.empty() || candidate.size() > kLongestWord) continue;
    const std::string name = lower(candidate);
    std::size_t apart = distance(wanted, name);
    const std::size_t shorter = std::min(wanted.size(), name.size());
    if (shorter >= kShortestBeginning && wanted.compare(0, shorter, name, 0, shorter) == 0) {
      apart = std::min<std::size_t>(apart, 1);
    }
    const std::size_t near = std::max<std::size_t>(1, std::max(wanted.size(), name.size()) / 3);
    if (apart <= near && apart < best_distance) {
      best_distance = apart;
      best = candidate;
    }
  }
  return best;
}

}  // namespace imagebuild
