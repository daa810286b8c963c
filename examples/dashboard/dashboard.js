// A page of public figures: it asks nothing but /api/v1/public/*, without a token. Plain JavaScript, no build, nothing from elsewhere.

const TEXTS = {
  zh: {
    title: '见义勇为工作数据', skip: '跳到内容', year: '年度', county: '范围', whole: '全市', figure: '指标', byCounty: '各县市区',
    barsNote: '选中一行，查看该县市区的数据。', togetherNote: '“未分列”是来源只给出合计、没有分到各县市区的数。', map: '宣传阵地与工作站', layers: '图层',
    publicity_assets: '宣传阵地', workstations: '工作站', asList: '以列表显示', groups: '分项数据', other: '中文 / English', switchTo: 'English',
    foot: '数字由协会的记录计算得出，至多一分钟前更新；“余”表示不少于，“约”表示约数。位置为 GCJ-02 坐标。',
    loading: '正在读取…', unknown: '未填报', figuresOf: (name, year) => `${name} · ${year} 年`, days: (year) => `时点数截至 ${year} 年 12 月 31 日，时期数为全年合计`,
    together: '未分列', noPlaces: '这里还没有登记位置的阵地和工作站', hint: '点选或用方向键查看各处', more: (n) => `位置较多，只显示前 ${n} 处`,
    empty: '还没有数据', emptyWhy: '协会尚未登记组织。登记后，这里会显示各项数据。', retry: '重试', down: '暂时读不到数据',
    offline: (api) => `无法连接 ${api}。请检查网络，或稍后再试。`, slow: '服务器没有及时回应，请稍后再试。', busy: (s) => `访问过于频繁，请在 ${s} 秒后再试。`,
    partly: '部分县市区的数据暂时没有读到。', noFigures: '该年度没有可显示的数据', noValues: '各县市区都没有这项数据',
    mapOf: (n) => `地图，共 ${n} 处`, barsOf: (label) => `${label}：各县市区`, km: '公里',
    kinds: { four_ones: '“四个一工程”', organizations: '基层组织建设', publicity: '社会宣传', training: '队伍素质' },
  },
  en: {
    title: 'Courageous acts: the work in figures', skip: 'Skip to content', year: 'Year', county: 'Area', whole: 'The whole city', figure: 'Figure', byCounty: 'By county',
    barsNote: 'Choose a row for the figures of that county.', togetherNote: '“Not told apart” is what a source gives only as one total.', map: 'Venues and workstations', layers: 'Layers',
    publicity_assets: 'Publicity', workstations: 'Workstations', asList: 'As a list', groups: 'All figures', switchTo: '中文',
    foot: 'Computed from the associations’ records, at most a minute ago. Places are in GCJ-02.',
    loading: 'Loading…', unknown: 'not known', figuresOf: (name, year) => `${name} · ${year}`, days: (year) => `What there is: at 31 December ${year}. What happened: the whole year.`,
    together: 'Not told apart', noPlaces: 'No places have been registered here yet', hint: 'Choose a point, or use the arrow keys', more: (n) => `The first ${n} places are shown`,
    empty: 'No data yet', emptyWhy: 'No organization has been registered. Its figures will be shown here.', retry: 'Try again', down: 'The figures can’t be read just now',
    offline: (api) => `There is no connection to ${api}. Check the network, or try again later.`, slow: 'The service did not answer in time. Try again later.', busy: (s) => `Too many requests: try again in ${s} seconds.`,
    partly: 'The figures of some counties could not be read.', noFigures: 'There are no figures of that year', noValues: 'No county has a value for this figure',
    mapOf: (n) => `Map of ${n} places`, barsOf: (label) => `${label} by county`, km: 'km',
    kinds: { four_ones: 'The four-ones programme', organizations: 'Organizations', publicity: 'Publicity', training: 'Training' },
  },
}
/** What stands large on top, where there is a value. */
const HEADLINES = [
  'four_ones.volunteers', 'four_ones.volunteer_teams', 'four_ones.venues.park.completed', 'four_ones.venues.corridor.completed',
  'four_ones.venues.square.completed', 'four_ones.demonstration_units.completed', 'organizations.county_associations',
]
const LAYERS = ['publicity_assets', 'workstations']
const PAGES_OF_MAP = 10
const AT_ONCE = 4

const $ = (id) => document.getElementById(id)
const given = new URLSearchParams(location.search)
/** A page that is put up for everybody names its service itself: an address in a link can't make it show another's figures. */
const API = (document.querySelector('meta[name=yiyong-api]').content || given.get('api') || location.origin).replace(/\/+$/, '')
const thisYear = new Date().getFullYear()
const state = {
  language: given.get('lang') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en'),
  year: Number(given.get('year')) || thisYear,
  /** Code of a county, or nothing for the whole city. */
  county: given.get('county') ?? '',
  figure: given.get('figure') ?? 'four_ones.volunteers',
  /** The city's code and name. */
  city: null,
  organizations: [],
  /** Figures of the year by the organization's code; null where they could not be read. */
  figures: new Map(),
  places: { publicity_assets: [], workstations: [] },
  more: false,
  here: null,
}
if (!(state.language in TEXTS)) state.language = 'zh'
const text = (name, ...values) => {
  const found = TEXTS[state.language][name]
  return typeof found === 'function' ? found(...values) : found
}

// Asking.

class Trouble extends Error {}

async function ask(path, query = {}) {
  const url = new URL(`${API}/api/v1/public/${path}`)
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value)
  let answer
  try {
    answer = await fetch(url, { headers: { 'Accept-Language': state.language }, signal: AbortSignal.timeout(15_000) })
  } catch (error) {
    throw new Trouble(error.name === 'TimeoutError' ? text('slow') : text('offline', new URL(API).host))
  }
  const body = await answer.json().catch(() => null)
  if (answer.ok && body) return body
  if (answer.status === 429) throw new Trouble(text('busy', answer.headers.get('Retry-After') ?? 60))
  const faults = body?.errors?.map((fault) => fault.message).join(' ')
  throw new Trouble(faults || body?.detail || body?.title || `HTTP ${answer.status}`)
}

/** All pages of a list, or the first so many. */
async function every(path, query, part, pages = Infinity) {
  const found = []
  let cursor
  do {
    const page = await ask(path, { ...query, limit: 200, cursor })
    found.push(...page[part])
    cursor = page.next_cursor
  } while (cursor && --pages > 0)
  return { found, more: Boolean(cursor) }
}

/** A few at a time, so that one reader doesn't keep others waiting. */
async function each(items, work) {
  const left = [...items]
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }))
}

/** What was asked for last counts: an answer to an earlier choice is dropped. */
const turns = { year: 0, places: 0 }

/** Everything of a year. */
async function load() {
  const mine = ++turns.year
  const isLate = () => mine !== turns.year
  const { year } = state
  show('loading')
  await telling(async () => {
    const [ofCity, { found }] = await Promise.all([ask('figures', { year }), every('organizations', {}, 'items')])
    if (isLate()) return
    state.city = ofCity.organization_code && { code: ofCity.organization_code, name: ofCity.organization_name }
    if (!state.city) return show('empty')
    state.organizations = inOrder(found.filter((one) => one.parent_code === state.city.code && one.kind !== 'city_association'))
    if (!counties().some((one) => one.code === state.county)) state.county = ''
    state.figures = new Map([[state.city.code, ofCity.items]])
    await Promise.all([loadFigures(state.county), loadPlaces()])
    if (isLate()) return
    show('shown')
    // What there is already can be read; the counties follow.
    await each(state.organizations, async ({ code }) => {
      if (state.figures.has(code)) return
      await loadFigures(code).catch(() => !isLate() && state.figures.set(code, null))
      if (!isLate()) drawBars()
    })
    if (!isLate()) show('shown')
  }, isLate)
}

/** The figures of an organization, unless they are there. */
async function loadFigures(code) {
  const { year, figures } = state
  if (!code || figures.get(code)) return
  const { items } = await ask('figures', { year, organization_code: code })
  figures.set(code, items)
}

async function loadPlaces() {
  const mine = ++turns.places
  const organization_code = state.county || state.city.code
  const layers = await Promise.all(LAYERS.map((layer) => every('map', { layer, organization_code }, 'features', PAGES_OF_MAP)))
  if (mine !== turns.places) return
  LAYERS.forEach((layer, n) => (state.places[layer] = layers[n].found))
  state.more = layers.some(({ more }) => more)
  state.here = null
}

async function telling(work, isLate) {
  try {
    await work()
  } catch (error) {
    if (isLate()) return
    if (!(error instanceof Trouble)) console.error(error)
    show('trouble', error.message)
  }
}

const counties = () => state.organizations.filter((one) => one.kind === 'county_association')
/** By division code, as the city itself lists them; zones have none and come after, and what is not told apart at the end. */
const isTotal = (one) => Number(one.kind !== 'county_association')
const inOrder = (list) => list.sort((a, b) => isTotal(a) - isTotal(b) || compare(a.division_code ?? '~', b.division_code ?? '~') || compare(a.code, b.code))
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
const shortName = (one) => one.short_name || one.name.replace(/见义勇为(协会|基金会).*$/, '')
const nameOf = (code) => {
  const found = state.organizations.find((one) => one.code === code)
  return found ? found.name : state.city.name
}

// Drawing.

function h(name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) element.setAttribute(key, value)
  element.append(...children)
  return element
}

function s(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name)
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== false) element.setAttribute(key, value)
  element.append(...children)
  return element
}

const count = (value) => value.toLocaleString(state.language === 'zh' ? 'zh-CN' : 'en')
const labelOf = (figure) => (state.language === 'zh' ? figure.label_zh : figure.label_en.replace(/^./, (first) => first.toUpperCase()))

/** A value as it is written: how well it is known stands with it. */
function number({ value, precision }) {
  if (value === null) return text('unknown')
  const zh = state.language === 'zh'
  if (precision === 'at_least') return zh ? `${count(value)}余` : `over ${count(value)}`
  if (precision === 'about') return zh ? `约${count(value)}` : `about ${count(value)}`
  return count(value)
}
function unit(figure) {
  if (figure.value === null) return ''
  if (state.language === 'zh') return figure.unit_zh
  return figure.value === 1 ? figure.unit : figure.unit_en
}
const written = (figure) => (state.language === 'zh' ? number(figure) + unit(figure) : `${number(figure)} ${unit(figure)}`.trim())

function show(what, why) {
  const message = {
    loading: () => [h('p', { class: 'hidden' }, text('loading')), h('div', { class: 'loading', 'aria-hidden': 'true' }, ...Array.from({ length: 6 }, () => h('i')))],
    empty: () => [h('div', { class: 'message' }, h('h2', {}, text('empty')), h('p', {}, text('emptyWhy')))],
    trouble: () => {
      const retry = h('button', { type: 'button', id: 'retry' }, text('retry'))
      retry.addEventListener('click', load)
      return [h('div', { class: 'message' }, h('h2', {}, text('down')), h('p', {}, why), retry)]
    },
    shown: () => ([...state.figures.values()].includes(null) ? [h('p', { class: 'partly' }, text('partly'))] : []),
  }[what]
  $('state').replaceChildren(...message())
  $('shown').hidden = what !== 'shown'
  document.body.dataset.state = what
  document.body.dataset.whole = what === 'shown' && state.organizations.every((one) => state.figures.has(one.code))
  words()
  if (what === 'shown') draw()
}

/** Everything that is words and choices. */
function words() {
  document.documentElement.lang = state.language === 'zh' ? 'zh-CN' : 'en'
  document.title = text('title')
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = text(element.dataset.text)
  $('language').textContent = text('switchTo')
  $('language').lang = state.language === 'zh' ? 'en' : 'zh-CN'
  $('city').textContent = state.city?.name ?? ''
  const years = new Set([...Array.from({ length: 6 }, (_, n) => thisYear - n), state.year])
  $('year').replaceChildren(...[...years].sort((a, b) => b - a).map((year) => h('option', { value: year, selected: year === state.year }, String(year))))
  $('county').replaceChildren(
    h('option', { value: '', selected: !state.county }, text('whole')),
    ...counties().map((one) => h('option', { value: one.code, selected: one.code === state.county }, shortName(one))),
  )
}

function draw() {
  const figures = state.figures.get(state.county || state.city.code) ?? []
  $('figures-title').textContent = text('figuresOf', nameOf(state.county), state.year)
  $('days').textContent = figures.length ? text('days', state.year) : text('noFigures')
  const headlines = HEADLINES.map((code) => figures.find((figure) => figure.code === code)).filter(Boolean)
  $('tiles').replaceChildren(...headlines.slice(0, 6).map((figure) =>
    h('li', { 'data-figure': figure.code },
      h('span', { class: 'label' }, labelOf(figure)),
      h('span', { class: figure.value === null ? 'number unknown' : 'number' }, number(figure), h('small', {}, unit(figure))))))
  const comparable = (state.figures.get(state.city.code) ?? []).filter((figure) => state.organizations.some((one) => valueIn(one, figure.code)))
  const codes = comparable.map((figure) => figure.code)
  if (codes.length && !codes.includes(state.figure)) state.figure = codes[0]
  $('figure').replaceChildren(...comparable.map((figure) => h('option', { value: figure.code, selected: figure.code === state.figure }, labelOf(figure))))
  $('figure').parentElement.hidden = !codes.length
  drawBars()
  drawMap()
  drawGroups(figures)
}

const valueIn = (organization, code) => state.figures.get(organization.code)?.find((figure) => figure.code === code)?.value
const widthOf = (element) => Math.max(element.clientWidth, 260)

/** How long some words are, about: a Chinese character is as wide as it is high. */
const lengthOf = (words) => [...words].reduce((sum, char) => sum + (char.charCodeAt(0) > 0x2e80 ? 14.5 : 7.8), 0)

/** Bars that lie one below the other: of what belongs to an area, or of figures with one unit. */
function bars(rows, width, label) {
  const greatest = Math.max(1, ...rows.map((row) => row.figure.value ?? 0))
  const names = Math.max(...rows.map((row) => lengthOf(row.name))) + 12
  // Where names would leave no room, each stands above its bar.
  const above = names > width * 0.55
  const [high, left] = [above ? 50 : 30, above ? 0 : names]
  const room = width - left - Math.max(...rows.map((row) => lengthOf(written(row.figure)))) - 16
  const chart = s('svg', { viewBox: `0 0 ${width} ${rows.length * high}`, height: rows.length * high, role: 'group', 'aria-label': label })
  rows.forEach((row, n) => {
    const { value } = row.figure
    const top = n * high
    const middle = top + (above ? 35 : 15)
    const length = Math.max(value ? 2 : 0, (room * (value ?? 0)) / greatest)
    const choice = row.choose ? { tabindex: 0, role: 'button', 'aria-pressed': String(Boolean(row.chosen)) } : { role: 'img' }
    const group = s('g', {
      class: `row${row.chosen ? ' chosen' : ''}${row.choose ? '' : ' still'}`, 'aria-label': `${row.name}: ${written(row.figure)}`, 'data-row': row.code, ...choice,
    }, s('rect', { class: 'hit', x: -8, y: top, width: width + 16, height: high, rx: 4 }),
    s('text', { x: 0, y: top + 20 }, row.name),
    s('rect', { class: row.together ? 'bar together' : 'bar', x: left, y: middle - 8, width: length, height: 16, rx: 2 }),
    s('text', { class: `value${value === null ? ' muted' : ''}`, x: left + length + 8, y: middle + 5 }, written(row.figure)))
    if (row.choose) {
      group.addEventListener('click', row.choose)
      group.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return
        event.preventDefault()
        row.choose()
      })
    }
    chart.append(group)
  })
  if (!above) chart.append(s('line', { class: 'axis', x1: left - 0.5, x2: left - 0.5, y1: 0, y2: rows.length * high }))
  return chart
}

function drawBars() {
  const place = $('bars')
  const focused = document.activeElement?.closest?.('#bars [data-row]')?.dataset.row
  const rows = state.organizations.flatMap((one) => {
    const figure = state.figures.get(one.code)?.find((figure) => figure.code === state.figure)
    const isCounty = one.kind === 'county_association'
    if (!figure || (!isCounty && !figure.value)) return []
    const chosen = one.code === state.county
    const choose = isCounty && (() => chooseCounty(chosen ? '' : one.code))
    return [{ code: one.code, name: isCounty ? shortName(one) : text('together'), figure, together: !isCounty, chosen, choose }]
  })
  $('bars-note').textContent = rows.length ? text('barsNote') + (rows.some((row) => row.together) ? text('togetherNote') : '') : ''
  if (!rows.length) return place.replaceChildren(h('p', { class: 'note' }, text('noValues')))
  place.replaceChildren(bars(rows, widthOf(place), text('barsOf', labelOf(rows[0].figure))))
  if (focused) place.querySelector(`[data-row="${CSS.escape(focused)}"]`)?.focus()
}

/** Figures by chapter: those of one kind and unit are drawn beside each other, the rest stands as it is. */
function drawGroups(figures) {
  const groups = grouped(figures, (figure) => figure.code.split('.')[0])
  $('groups').replaceChildren(...[...groups].map(([kind, members]) => {
    const card = h('section', { class: 'card' }, h('h3', {}, text('kinds')[kind] ?? kind))
    const alone = []
    for (const same of grouped(members, (figure) => `${figure.code.split('.')[1]} ${figure.unit}`).values()) {
      const known = same.filter((figure) => figure.value)
      if (known.length < 2) alone.push(...same)
      else {
        card.append(h('div', { class: 'chart', 'data-bars': '' }))
        card.lastChild.rows = same.map((figure) => ({ code: figure.code, name: labelOf(figure), figure }))
      }
    }
    if (alone.length) {
      card.append(h('dl', { class: 'facts' }, ...alone.map((figure) =>
        h('div', { 'data-figure': figure.code }, h('dt', {}, labelOf(figure)), h('dd', { class: figure.value === null ? 'unknown' : undefined }, written(figure))))))
    }
    return card
  }))
  for (const chart of document.querySelectorAll('[data-bars]')) chart.replaceChildren(bars(chart.rows, widthOf(chart), text('groups')))
}

function grouped(items, by) {
  const groups = new Map()
  for (const item of items) groups.set(by(item), [...(groups.get(by(item)) ?? []), item])
  return groups
}

const visible = () => LAYERS.filter((layer) => $(`layer-${layer}`).checked).flatMap((layer) => state.places[layer])

/** Points on a plane: a degree of longitude is as long as it is in the middle of them. There is no map below: tiles would come from elsewhere. */
function drawMap() {
  for (const layer of LAYERS) $(`count-${layer}`).textContent = count(state.places[layer].length)
  const points = visible()
  const named = ({ properties: of }) => h('li', {}, of.name || of.code, ' ', h('span', {}, [of.organization_name, of.address].filter(Boolean).join(' · ')))
  $('places').replaceChildren(...points.map(named))
  const place = $('map')
  const width = widthOf(place)
  const height = Math.round(Math.min(width * 0.92, 500))
  if (!points.length) {
    $('place').textContent = ''
    return place.replaceChildren(h('p', { class: 'note' }, text('noPlaces')))
  }
  const [west, east] = bounds(points.map((point) => point.geometry.coordinates[0]))
  const [south, north] = bounds(points.map((point) => point.geometry.coordinates[1]))
  const squeeze = Math.cos((((south + north) / 2) * Math.PI) / 180)
  const edge = 36
  const scale = Math.min((width - 2 * edge) / ((east - west) * squeeze), (height - 2 * edge) / (north - south))
  const x = (longitude) => width / 2 + (longitude - (west + east) / 2) * squeeze * scale
  const y = (latitude) => height / 2 - (latitude - (south + north) / 2) * scale
  const map = s('svg', { viewBox: `0 0 ${width} ${height}`, height, role: 'application', tabindex: 0, 'aria-label': `${text('mapOf', points.length)}。${text('hint')}` })
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5].find((step) => (width / scale / squeeze) / step <= 6) ?? 10
  const degrees = (value) => `${value.toFixed(step < 0.1 ? 2 : 1)}°`
  const reach = { west: west - (x(west)) / (squeeze * scale), east: east + (width - x(east)) / (squeeze * scale), south: south - (height - y(south)) / scale, north: north + y(north) / scale }
  for (let n = Math.ceil(reach.west / step); n * step < reach.east; n++) {
    map.append(s('line', { class: 'axis', x1: x(n * step), x2: x(n * step), y1: 0, y2: height }))
    if (x(n * step) > 30 && x(n * step) < width * 0.75 - 60) map.append(s('text', { class: 'degree', x: x(n * step) + 4, y: height - 6 }, degrees(n * step)))
  }
  for (let n = Math.ceil(reach.south / step); n * step < reach.north; n++) {
    map.append(s('line', { class: 'axis', x1: 0, x2: width, y1: y(n * step), y2: y(n * step) }))
    if (y(n * step) > 20 && y(n * step) < height - 30) map.append(s('text', { class: 'degree', x: 4, y: y(n * step) - 4 }, degrees(n * step)))
  }
  for (const feature of points) {
    const [longitude, latitude] = feature.geometry.coordinates
    const here = feature.id === state.here ? ' here' : ''
    const at = { 'data-id': feature.id, transform: `translate(${x(longitude).toFixed(1)} ${y(latitude).toFixed(1)})` }
    const shape = feature.properties.layer === 'workstations'
      ? s('rect', { class: `station${here}`, x: -5.5, y: -5.5, width: 11, height: 11, ...at })
      : s('circle', { class: `asset${here}`, r: 6, ...at })
    shape.append(s('title', {}, feature.properties.name || feature.properties.code))
    shape.addEventListener('click', () => goTo(feature.id))
    map.append(shape)
  }
  if (!state.county) map.append(...countyNames(points, (point) => [x(point.geometry.coordinates[0]), y(point.geometry.coordinates[1])]))
  map.append(...ruler(width, height, scale))
  map.addEventListener('keydown', (event) => {
    const forward = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
    if (!forward) return
    event.preventDefault()
    const now = points.findIndex((point) => point.id === state.here)
    goTo(points[(now + forward + points.length + (now < 0 && forward < 0 ? 1 : 0)) % points.length].id)
  })
  const focused = document.activeElement?.closest?.('#map')
  place.replaceChildren(map)
  if (focused) map.focus({ preventScroll: true })
  const at = points.find((point) => point.id === state.here)
  $('place').replaceChildren(...(at ? named(at).childNodes : [h('span', {}, state.more ? text('more', points.length) : text('hint'))]))
}

/** Names of counties above the points of each; where two would lie on each other, that of more points stands. */
function countyNames(points, at) {
  const taken = []
  const groups = [...grouped(points, (point) => point.properties.organization_code)].sort(([, a], [, b]) => b.length - a.length)
  return groups.flatMap(([code, members]) => {
    const county = state.organizations.find((one) => one.code === code)
    if (!county) return []
    const middle = members.reduce((sum, point) => sum + at(point)[0], 0) / members.length
    const above = Math.max(16, Math.min(...members.map((point) => at(point)[1])) - 12)
    const half = lengthOf(shortName(county)) / 2 + 2
    if (taken.some(([x, y, width]) => Math.abs(x - middle) < width + half && Math.abs(y - above) < 18)) return []
    taken.push([middle, above, half])
    return [s('text', { class: 'county', x: middle, y: above, 'aria-hidden': 'true' }, shortName(county))]
  })
}

/** The least and the greatest, and some room where they are nearly one. */
function bounds(values) {
  const [least, greatest] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity])
  const lacking = Math.max(0, 0.04 - (greatest - least)) / 2
  return [least - lacking, greatest + lacking]
}

/** How long a kilometre, or several, is. */
function ruler(width, height, scale) {
  const kilometre = scale / 111.32
  const long = [1, 2, 5, 10, 20, 50, 100, 200].findLast((long) => long * kilometre <= width / 4) ?? 1
  const [from, to, below] = [width - 14 - long * kilometre, width - 14, height - 14]
  return [
    s('path', { d: `M${from} ${below - 5}V${below}H${to}V${below - 5}`, fill: 'none', stroke: 'currentColor' }),
    s('text', { class: 'degree', x: (from + to) / 2, y: below - 5, 'text-anchor': 'middle' }, `${long} ${text('km')}`),
  ]
}

// Choosing.

function goTo(id) {
  state.here = id
  drawMap()
}

function remember() {
  const address = new URL(location.href)
  const set = (name, value) => (value ? address.searchParams.set(name, value) : address.searchParams.delete(name))
  set('year', state.year)
  set('county', state.county)
  set('lang', state.language)
  history.replaceState(null, '', address)
}

async function chooseCounty(code) {
  state.county = code
  remember()
  const isLate = () => state.county !== code
  if (state.figures.get(code || state.city.code)) show('shown')
  await telling(async () => {
    await Promise.all([loadFigures(code), loadPlaces()])
    if (!isLate()) show('shown')
  }, isLate)
}

$('year').addEventListener('change', (event) => {
  state.year = Number(event.target.value)
  remember()
  load()
})
$('county').addEventListener('change', (event) => chooseCounty(event.target.value))
$('figure').addEventListener('change', (event) => {
  state.figure = event.target.value
  drawBars()
})
$('language').addEventListener('click', () => {
  state.language = state.language === 'zh' ? 'en' : 'zh'
  remember()
  if (document.body.dataset.state === 'shown') show('shown')
  else load()
})
for (const layer of LAYERS) $(`layer-${layer}`).addEventListener('change', drawMap)
$('choices').addEventListener('submit', (event) => event.preventDefault())

let width = 0
new ResizeObserver(([entry]) => {
  if (entry.contentRect.width === width) return
  width = entry.contentRect.width
  if (document.body.dataset.state === 'shown') draw()
}).observe(document.querySelector('main'))
load()
