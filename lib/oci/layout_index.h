// index.json of an OCI layout: which image a name means, and what a new image changes; for this room only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace imagebuild::oci {

inline constexpr const char* kRefNameAnnotation = "org.opencontainers.image.ref.name";
// The full name, as containerd and BuildKit write it beside the tag.
inline constexpr const char* kImageNameAnnotation = "io.containerd.image.name";

// The content of the file "oci-layout".
std::string layout_marker();
// kUnsupported for a layout of another version, kCorrupt for what is none.
Status check_layout_marker(std::string_view text);

// `index_json` (empty: there is none yet) with `manifest` under each name: as BuildKit does, ref.name is the tag and a
// second annotation the full name. Entries of the same full name are replaced; a tag that another image has moves to
// this one. Every other entry and member stays as it is.
Result<std::string> add_to_index(std::string_view index_json, const Descriptor& manifest,
                                 const std::vector<Reference>& names);

// The descriptor of an index with that text.
Result<Descriptor> describe_index(std::string_view json);

// The entry that `name` means: a digest, the text of one of the two annotations, or a reference with the same full
// name. Empty: the only image. Several entries of one name that differ in platform are one image; `wanted` chooses.
// kNotFound and kInvalidInput (the name fits several images) list the names that there are.
Result<Descriptor> find_in_index(const Index& index, const std::string& name, const Platform& wanted);

}  // namespace imagebuild::oci
