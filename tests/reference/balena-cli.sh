#!/usr/bin/env bash
# Installs the balena CLI from the npm registry into a folder, and prints the program's path:
#   OSBUILD_BALENA_CLI=$(tests/reference/balena-cli.sh work/balena-cli) ./build.sh test apps
# Needs node 20 or later and npm. Two of its dependencies are not on the registry in the form it asks for and are replaced; its parser of
# compose files is a Go program that is published elsewhere, so a script over the same YAML package stands in for it.
set -euo pipefail
folder=${1:?the folder to install into}
mkdir -p "$folder"
cd "$folder"
program=$PWD/node_modules/.bin/balena
parser=$PWD/node_modules/@balena/compose-parser/bin/balena-compose-parser
if [ ! -x "$program" ]; then
  cat > package.json <<'JSON'
{"private":true,"dependencies":{"balena-cli":"25.2.6"},"overrides":{"balena-preload":"18.0.5","unbzip2-stream":"1.4.3"}}
JSON
  npm install --no-audit --no-fund --ignore-scripts >&2
fi
if [ ! -x "$parser" ]; then
  mkdir -p "$(dirname "$parser")"
  cat > "$parser" <<'JS'
#!/usr/bin/env node
// The normal form compose-go gives, as far as the tests' own compose files need it.
const fs = require('fs'), path = require('path'), yaml = require('js-yaml');
const file = process.argv[process.argv.indexOf('-f') + 1];
const project = yaml.load(fs.readFileSync(file, 'utf8'));
delete project.version;
for (const service of Object.values(project.services)) {
  if (typeof service.build === 'string') service.build = { context: service.build };
  if (service.build) service.build = { dockerfile: 'Dockerfile', ...service.build, context: path.resolve(path.dirname(file), service.build.context) };
  if (Array.isArray(service.depends_on)) service.depends_on = Object.fromEntries(service.depends_on.map((s) => [s, { condition: 'service_started', required: true }]));
  if (service.volumes) service.volumes = service.volumes.map((v) => ({ type: 'volume', source: v.split(':')[0], target: v.split(':')[1], volume: {} }));
  if (!service.network_mode && !service.networks) service.networks = { default: null };
  service.command ??= null;
  service.entrypoint ??= null;
}
project.networks ??= { default: { ipam: {} } };
process.stdout.write(JSON.stringify(project));
JS
  chmod +x "$parser"
fi
echo "$program"
