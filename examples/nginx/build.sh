# build.sh FROM TO: names the style sheet after its content, so that browsers may keep it for ever.
set -eu
from=$1 to=$2
mkdir -p "$to"
name=style-$(sha256sum "$from/style.css" | cut -c1-8).css
cp "$from/style.css" "$to/$name"
sed "s/style\.css/$name/" "$from/index.html" > "$to/index.html"
