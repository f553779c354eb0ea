// Descriptors and annotations as JSON, which manifests and indexes share; for this room only.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "oci/json_fields.h"
#include "oci/manifest.h"

namespace imagebuild::oci {

// `where` is the place of `value` in its document: "layers[2]". Wrong members are kCorrupt.
Result<Descriptor> parse_descriptor(const Json& value, const std::string& where);
Json to_json(const Descriptor& descriptor);

// Adds the annotations to `object` unless there are none.
void put_annotations(Json& object, const std::map<std::string, std::string>& annotations);

}  // namespace imagebuild::oci
