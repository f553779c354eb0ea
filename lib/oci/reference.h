// The name of an image (distribution/reference grammar) with Docker's normalisation.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "oci/digest.h"

namespace imagebuild::oci {

class Reference {
 public:
  // "alpine" → docker.io/library/alpine:latest, "localhost:5000/a/b:1", "x@sha256:…". With a digest and no tag, no tag
  // is added. Upper-case repositories, bad tags and names over 255 bytes are kInvalidInput, and the message says which
  // part and why.
  static Result<Reference> parse(std::string_view text);
  // Whether `tag` is one: a letter, digit or '_', then at most 127 of those, '.' and '-'. kInvalidInput says what is
  // not.
  static Status check_tag(std::string_view tag);

  const std::string& registry() const { return registry_; }      // "docker.io", "localhost:5000"
  const std::string& repository() const { return repository_; }  // "library/alpine"
  const std::string& tag() const { return tag_; }                // Empty only when there is a digest.
  const std::optional<Digest>& digest() const { return digest_; }
  std::string str() const;       // Canonical: "docker.io/library/alpine:latest"
  std::string familiar() const;  // As people write it: "alpine:latest"
  // What goes into a manifest URL: the digest if there is one, else the tag.
  std::string identifier() const;
  Reference with_digest(const Digest& digest) const;  // The same repository, pinned; the tag stays.
  // The same repository with this tag and no digest. A tag that fails check_tag() ends the process.
  Reference with_tag(std::string tag) const;
  auto operator<=>(const Reference&) const = default;

 private:
  Reference() = default;
  std::string registry_, repository_, tag_;
  std::optional<Digest> digest_;
};

}  // namespace imagebuild::oci
