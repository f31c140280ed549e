// Text: how the page makes elements and writes names. Everything that comes from the data goes through el, as
// a text node or as the value of a known attribute; nothing is ever parsed as HTML.

// hidden matches what a reader would not see, or what would reorder the text beside it: control characters,
// zero-width characters, direction marks, spaces that are none.
const hidden = /(?! )[\p{C}\p{Z}\ufffd]/gu;

// visible returns text with hidden characters written as \u202e, so that a name cannot pretend to be another.
function visible(text) {
  return String(text).replace(hidden, (c) => {
    const code = c.codePointAt(0);
    const [mark, digits] = code < 0x80 ? ['\\x', 2] : code < 0x10000 ? ['\\u', 4] : ['\\U', 8];
    return mark + code.toString(16).padStart(digits, '0');
  });
}

// el returns a new element. A function in attributes listens to the event of that name; true is an attribute
// without value; false, null and undefined are none. Strings among the children become text.
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  append(node, children);
  return node;
}

// drawn returns a new SVG element, as el does.
function drawn(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(node, attributes);
  append(node, children);
  return node;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function') {
      node.addEventListener(name, value);
    } else if (value === true) {
      node.setAttribute(name, '');
    } else if (value !== false && value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) {
      node.append(typeof child === 'object' ? child : visible(child));
    }
  }
}

// named returns a name as an element of its own direction, so that a right-to-left name stays in its place.
function named(text, className) {
  return el('bdi', { class: className || 'name' }, text);
}

// number returns a count with its digits grouped: 12,345.
function number(n) {
  return Number(n).toLocaleString('en-US');
}

// counted returns a count with its noun: "1 workload", "12 workloads".
function counted(n, one, many) {
  return number(n) + ' ' + (Number(n) === 1 ? one : many || one + 's');
}

// byId returns one of the elements of page.html.
function byId(id) {
  return document.getElementById(id);
}

// replace puts children in place of all that node has.
function replace(node, ...children) {
  node.replaceChildren();
  append(node, children);
}

// linkTo returns a button that looks like a link in text.
function linkTo(onClick, ...children) {
  return el('button', { type: 'button', class: 'link', click: onClick }, ...children);
}
