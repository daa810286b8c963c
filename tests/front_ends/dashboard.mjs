// The page for the public in a browser, against a running service: what it shows is what the service says.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chromium } from 'playwright-core'

const { YIYONG_API: api, YIYONG_PAGE: address, CHROMIUM, YIYONG_SCREENSHOTS } = process.env
const told = async (path, query) => (await fetch(`${api}/api/v1/public/${path}?${new URLSearchParams(query)}`)).json()
const executablePath = execFileSync('which', [CHROMIUM], { encoding: 'utf8' }).trim()
// Whoever is root, as in a container, has no sandbox.
const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ['--no-sandbox'] : [] })
const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, locale: 'zh-CN' })
page.setDefaultTimeout(20_000)
const faults = []
page.on('console', (message) => ['error', 'warning'].includes(message.type()) && faults.push(message.text()))
page.on('pageerror', (error) => faults.push(String(error)))

const whole = () => page.waitForSelector('body[data-whole=true]')
const shot = (name) => YIYONG_SCREENSHOTS && page.screenshot({ path: `${YIYONG_SCREENSHOTS}/${name}.png`, fullPage: true })
const points = () => page.locator('#map [data-id]').count()

/** Every figure that the public is told of an area stands on the page, with its value. */
async function shows(query) {
  const { items } = await told('figures', { year: 2022, ...query })
  assert(items.length > 10)
  for (const { code, value, unit_zh } of items) {
    const expected = value === null ? '未填报' : value.toLocaleString('zh-CN') + unit_zh
    const found = page.locator(`#groups [data-figure="${code}"] dd, #groups [data-row="${code}"] .value`)
    assert.equal(await found.textContent(), expected, code)
  }
  const teams = items.find((figure) => figure.code === 'four_ones.volunteer_teams')
  assert.equal(await page.locator('#tiles [data-figure="four_ones.volunteer_teams"] .number').textContent(), `${teams.value}支`)
  return teams.value
}

// All of the city: its counties, its figures, and all places, though they come by pages.
await page.goto(address)
await whole()
const { items: organizations } = await told('organizations', { limit: 200 })
const counties = organizations.filter((one) => one.kind === 'county_association').map((one) => one.code).sort()
const offered = await page.locator('#county option').evaluateAll((options) => options.map((option) => option.value))
assert.deepEqual(offered.sort(), ['', ...counties])
assert.equal(await page.locator('#figures-title').textContent(), '郑州市见义勇为协会 · 2022 年')
assert.equal(await shows({}), 3)
assert.equal(await points(), 207)
assert.deepEqual(await page.locator('[id^=count-]').allTextContents(), ['2', '205'])
await page.selectOption('#figure', 'four_ones.volunteer_teams')
const bars = await page.locator('#bars [data-row] .value').allTextContents()
assert.deepEqual(bars, ['2支', '1支'])
await shot('wide')

// Places by the keyboard; a layer less; a name that looks like something else is a text.
await page.focus('#map svg')
await page.keyboard.press('ArrowRight')
assert.match(await page.locator('#place').textContent(), /^<img src=x onerror=alert\(1\)> 郑州市见义勇为协会$/)
await page.uncheck('#layer-workstations')
assert.equal(await points(), 2)
await page.check('#layer-workstations')

// Another county, by the menu and by its bar, and back by the keyboard.
await page.selectOption('#county', 'zz-gaoxin')
await page.waitForFunction(() => document.querySelectorAll('#map [data-id]').length === 205)
assert.equal(await shows({ organization_code: 'zz-gaoxin' }), 1)
await page.click('#bars [data-row="zz-dengfeng"]')
await page.waitForFunction(() => document.querySelectorAll('#map [data-id]').length === 1)
assert.equal(await shows({ organization_code: 'zz-dengfeng' }), 2)
assert.equal(new URL(page.url()).searchParams.get('county'), 'zz-dengfeng')
await page.focus('#bars [data-row="zz-dengfeng"]')
await page.keyboard.press('Enter')
await page.waitForFunction(() => document.querySelectorAll('#map [data-id]').length === 207)
assert.equal(await page.inputValue('#county'), '')
// Another year has other figures.
await page.evaluate(() => delete document.body.dataset.whole)
await page.selectOption('#year', String(new Date().getFullYear()))
await whole()
assert.match(await page.locator('#figures-title').textContent(), new RegExp(String(new Date().getFullYear())))

// On a telephone, in the dark, in English.
await page.setViewportSize({ width: 375, height: 812 })
await page.emulateMedia({ colorScheme: 'dark' })
await page.click('#language')
assert.equal(await page.getAttribute('html', 'lang'), 'en')
assert.equal(await page.locator('#tiles [data-figure="four_ones.volunteer_teams"] .number').textContent(), '3teams')
assert(!/[\u4e00-\u9fff]/.test(await page.locator('#groups').textContent()), 'no Chinese is left in the figures')
const wide = await page.evaluate(() => document.documentElement.scrollWidth)
assert(wide <= 375, `${wide} pixels wide`)
assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(21, 25, 27)')
await shot('narrow')
assert.deepEqual(faults, [])

// The service is away, or has enough: it is said what to do, and trying again is enough once it is back.
await page.goto(address)
await whole()
await page.route(`${api}/**`, (route) => route.abort())
await page.selectOption('#year', '2023')
await page.waitForSelector('body[data-state=trouble]')
assert.match(await page.locator('#state').textContent(), new RegExp(`无法连接 ${new URL(api).host}.*稍后再试`))
await page.unroute(`${api}/**`)
const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Expose-Headers': 'Retry-After', 'Retry-After': '30' }
await page.route(`${api}/**`, (route) => route.fulfill({ status: 429, headers, json: {} }))
await page.click('#retry')
await page.getByText('请在 30 秒后再试').waitFor()
await shot('trouble')
await page.unroute(`${api}/**`)
await page.click('#retry')
await whole()
// Before anything is registered.
await page.route(`${api}/api/v1/public/figures*`, (route) =>
  route.fulfill({ headers, json: { year: 2022, organization_code: null, organization_name: null, items: [] } }),
)
await page.reload()
await page.getByText('还没有数据').waitFor()
await browser.close()
console.log('the dashboard shows it')
