{{- define "netpold.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "netpold.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "netpold.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "netpold.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "netpold.selector" -}}
app.kubernetes.io/name: {{ include "netpold.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "netpold.labels" -}}
{{ include "netpold.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "netpold.serviceAccount" -}}
{{- default (include "netpold.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "netpold.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What Kubernetes must wait for a drain, in seconds. */}}
{{- define "netpold.grace" -}}
{{- $delay := index .Values.settings "drain-delay" | trimSuffix "s" | int -}}
{{- $timeout := index .Values.settings "drain-timeout" | trimSuffix "s" | int -}}
{{- add $delay $timeout 10 -}}
{{- end -}}

{{/* What the schema cannot say of values. */}}
{{- define "netpold.check" -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas: raise maxReplicas" -}}
{{- end -}}
{{- if and .Values.tls.requireClientCertificate (not .Values.tls.secretName) -}}
{{- fail "tls.requireClientCertificate needs TLS: give tls.secretName, a Secret with tls.crt, tls.key and ca.crt" -}}
{{- end -}}
{{- if and .Values.kubeAuthz (not .Values.tls.secretName) -}}
{{- fail "kubeAuthz needs TLS, or tokens would cross the network in plaintext: give tls.secretName, a Secret with tls.crt and tls.key" -}}
{{- end -}}
{{- if and .Values.kubeAuthz .Values.forwardAuth.enabled (not (or .Values.insecure .Values.tls.requireClientCertificate)) -}}
{{- fail "forwardAuth asks for no token: give tls.requireClientCertificate=true too, or insecure=true to let everybody ask there" -}}
{{- end -}}
{{- if not (or .Values.insecure .Values.kubeAuthz (and .Values.tls.secretName .Values.tls.requireClientCertificate)) -}}
{{- fail "nothing says who may ask: give tls.secretName, a Secret with tls.crt, tls.key and ca.crt, and tls.requireClientCertificate=true or kubeAuthz=true; or, to let everybody who can connect ask, insecure=true" -}}
{{- end -}}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false: give serviceAccount.name, or every Pod of the namespace may read the cluster" -}}
{{- end -}}
{{- end -}}

{{/* 90% of the memory limit, in whole MiB. */}}
{{- define "netpold.gomemlimit" -}}
{{- $limit := .Values.resources.limits.memory -}}
{{- $mebibytes := trimSuffix "Mi" $limit | float64 -}}
{{- if hasSuffix "Gi" $limit -}}
{{- $mebibytes = mulf (trimSuffix "Gi" $limit | float64) 1024 -}}
{{- end -}}
{{- printf "%dMiB" (mulf $mebibytes 0.9 | int) -}}
{{- end -}}
