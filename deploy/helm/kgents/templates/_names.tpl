{{/* Labels by which a workload knows its pods: they can never change, so there is no version in them. */}}
{{- define "kgents.selector" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: kgents
{{- end }}

{{/* The services that run, as YAML: name → what is known of it, with its values. */}}
{{- define "kgents.services" -}}
{{- $known := .Files.Get "files/services.yaml" | fromYaml }}
{{- $profiles := ternary (list "hub" "edge") (list .Values.profile) (eq .Values.profile "all") }}
{{- $chosen := dict }}
{{- range $name, $values := .Values.services }}
{{- $facts := get $known $name }}
{{- $here := false }}
{{- range $facts.profiles }}{{ if has . $profiles }}{{ $here = true }}{{ end }}{{ end }}
{{- if ternary $values.enabled $here (kindIs "bool" $values.enabled) }}
{{- $_ := set $chosen $name (merge (deepCopy $facts) $values) }}
{{- end }}
{{- end }}
{{- toYaml $chosen }}
{{- end }}

{{- define "kgents.image" -}}
{{- $image := .root.Values.image }}
{{- printf "%s%skgents-%s:%s" $image.registry (ternary "/" "" (ne $image.registry "")) .name (default .root.Chart.AppVersion $image.tag) }}
{{- end }}

{{/* What holds for each container: the restricted profile, and a root that cannot be written. */}}
{{- define "kgents.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "kgents.pod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What each pod has beside its containers. */}}
{{- define "kgents.placement" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* The volumes of a pod: settings, its Secret, and room for what waits while NATS is away. */}}
{{- define "kgents.volumes" -}}
- name: config
  configMap:
    name: kgents-config
- name: data
  emptyDir:
    sizeLimit: 256Mi
{{- with . }}
- name: secrets
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end }}

{{- define "kgents.mounts" -}}
- name: config
  mountPath: /etc/kgents
  readOnly: true
- name: data
  mountPath: /var/lib/kgents
{{- with . }}
- name: secrets
  mountPath: /run/secrets/kgents
  readOnly: true
{{- end }}
{{- end }}

{{/* What collector-k8s compares the cluster with: the value of its setting `manifests`. */}}
{{- define "kgents.manifests" -}}
{{- $sets := list }}
{{- range $name, $set := .Values.manifests }}
{{- $path := list "/srv/manifests" $name $set.path | compact | join "/" }}
{{- $sets = append $sets (dict "path" $path "namespace" (default "default" $set.namespace)) }}
{{- end }}
{{- toJson $sets }}
{{- end }}

{{/* The containers that keep manifests up to date: each writes its own volume, and its /tmp. */}}
{{- define "kgents.keepers" -}}
{{- $root := . }}
{{- range $name, $set := .Values.manifests }}
{{- with $set.container }}
- name: manifests-{{ $name }}
  {{- toYaml . | nindent 2 }}
  securityContext: {{ include "kgents.container" $root | nindent 4 }}
  volumeMounts:
    - name: manifests-{{ $name }}
      mountPath: /srv/manifests/{{ $name }}
    - name: manifests-{{ $name }}-tmp
      mountPath: /tmp
{{- end }}
{{- end }}
{{- end }}
