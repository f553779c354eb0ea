#include "operator/pods/security.h"

namespace imagebuild::op {

using kube::Json;

Json pod_security() {
  return {{"runAsUser", 0}, {"runAsGroup", 0}, {"seccompProfile", {{"type", "RuntimeDefault"}}}};
}

Json run_security() {
  const Json capabilities = {"AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",      "MKNOD",
                             "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT"};
  return {{"allowPrivilegeEscalation", true}, {"capabilities", {{"add", capabilities}}}};
}

Json builder_security() {
  return {{"allowPrivilegeEscalation", false},
          {"readOnlyRootFilesystem", true},
          {"capabilities", {{"drop", {"ALL"}}, {"add", {"CHOWN", "DAC_OVERRIDE", "FOWNER"}}}}};
}

}  // namespace imagebuild::op
