{{- /* What the operator may do in the namespaces whose ImageBuilds it builds. */ -}}
{{- define "imagebuild.rules" -}}
# It reads ImageBuilds and writes their status, never their spec.
- apiGroups: [imagebuild.dev]
  resources: [imagebuilds]
  verbs: [get, list, watch]
- apiGroups: [imagebuild.dev]
  resources: [imagebuilds/status]
  verbs: [get, patch, update]
# Servers with the admission plugin OwnerReferencesPermissionEnforcement want this of who sets an ownerReference.
- apiGroups: [imagebuild.dev]
  resources: [imagebuilds/finalizers]
  verbs: [update]
# The objects of a build.
- apiGroups: [""]
  resources: [pods, persistentvolumeclaims]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, update, delete]
# Whether the Secrets that an ImageBuild names exist; neither list nor watch, so that no others are seen.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
