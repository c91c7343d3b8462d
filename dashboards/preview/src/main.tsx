// Draws one of the dashboards from answers that were collected before, with Grafana's own component library: stat, time
// series, bar gauge and table are Grafana's; logs, traces and the rest are simple stand-ins. It is not Grafana.
import {
  applyFieldOverrides, createTheme, dateTime, FieldConfigOptionsRegistry, FieldType, getDisplayProcessor,
  getFieldDisplayName, getFieldSeriesColor, getFieldDisplayValues, identityOverrideProcessor,
  standardTransformers, standardTransformersRegistry, ThemeContext, toDataFrame, transformDataFrame,
  type DataFrame, type TimeRange,
} from '@grafana/data';
import { initPluginTranslations } from '@grafana/i18n';
import {
  BarGauge, BigValue, GlobalStyles, PanelChrome, PanelContextProvider, Table, TimeSeries,
} from '@grafana/ui';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { firstValueFrom } from 'rxjs';

const CELL = 8, ROW = 30, COLUMNS = 24, WIDTH = 1680;
const theme = createTheme({ colors: { mode: new URLSearchParams(location.search).get('theme') === 'light' ? 'light' : 'dark' } });
const registry = new FieldConfigOptionsRegistry();
for (const path of ['unit', 'min', 'max', 'decimals', 'displayName', 'color', 'thresholds', 'mappings', 'links', 'noValue']) {
  registry.register({ id: path, path, name: path, process: identityOverrideProcessor, shouldApply: () => true } as any);
}
for (const one of Object.values(standardTransformers) as any[]) {
  if (!standardTransformersRegistry.getIfExists(one.id)) {
    standardTransformersRegistry.register({ id: one.id, name: one.name, transformation: async () => one } as any);
  }
}

type Panel = { type: string; title: string; gridPos: { x: number; y: number; w: number; h: number }; [key: string]: any };
type Drawn = { panel: Panel; frames: any[]; note?: string };
type Page = { title: string; subtitle: string; from: number; to: number; variables: Record<string, string>; panels: Drawn[] };

function prepared(drawn: Drawn, frames: DataFrame[]): DataFrame[] {
  const { defaults: own = {}, overrides = [] } = drawn.panel.fieldConfig ?? {};
  const defaults = { color: { mode: drawn.panel.type === 'timeseries' ? 'palette-classic' : 'thresholds' }, ...own };
  const data = applyFieldOverrides({
    data: frames, fieldConfig: { defaults, overrides }, replaceVariables: (text: string) => text, theme, timeZone: 'utc',
    fieldConfigRegistry: registry,
  });
  let index = 0;
  for (const frame of data) {
    for (const field of frame.fields) {
      // What belongs to the panel's own options is not in the registry of standard ones.
      field.config.custom = { ...defaults.custom, ...field.config.custom };
      for (const { matcher, properties } of overrides) {
        if (matcher.id === 'byName' && getFieldDisplayName(field, frame, data) === matcher.options) {
          for (const { id, value } of properties) {
            if (id.startsWith('custom.')) {
              field.config.custom = { ...field.config.custom, [id.slice(7)]: value };
            }
          }
        }
      }
      if (field.type === FieldType.number) {
        // The name too: a colour that goes by it is the same for all of them without.
        field.state = { ...field.state, seriesIndex: index++, displayName: getFieldDisplayName(field, frame, data) };
        if (drawn.panel.type === 'timeseries') {
          // One colour for line and legend: here they do not find the same name by themselves.
          field.config.color = { mode: 'fixed', fixedColor: getFieldSeriesColor(field, theme).color };
          field.display = getDisplayProcessor({ field, theme, timeZone: 'utc' });
        }
      }
    }
  }
  return data;
}

function Content({ drawn, width, height, range }: { drawn: Drawn; width: number; height: number; range: TimeRange }) {
  const { panel } = drawn;
  const [frames, setFrames] = useState<DataFrame[]>();
  useEffect(() => {
    const raw = drawn.frames.map((one) => toDataFrame(one));
    firstValueFrom(transformDataFrame(panel.transformations ?? [], raw)).then((done) => setFrames(prepared(drawn, done)));
  }, [drawn]);
  if (frames === undefined) {
    return null;
  }
  if (panel.type === 'text') {
    return <div style={{ padding: 8, whiteSpace: 'pre-wrap' }}>{panel.options?.content}</div>;
  }
  if (!frames.some((one) => one.length > 0)) {
    return <div style={{ padding: 16, textAlign: 'center', color: theme.colors.text.secondary }}>{drawn.note ?? panel.fieldConfig?.defaults?.noValue ?? 'No data'}</div>;
  }
  const values = () => getFieldDisplayValues({
    data: frames, theme, timeZone: 'utc', replaceVariables: (text: string) => text,
    reduceOptions: panel.options?.reduceOptions ?? { calcs: ['lastNotNull'] },
    fieldConfig: panel.fieldConfig, sparkline: panel.options?.graphMode === 'area',
  } as any);
  switch (panel.type) {
    case 'stat': {
      const found = values();
      const each = width / found.length;
      return (
        <div style={{ display: 'flex' }}>
          {found.map((one, place) => (
            <BigValue key={place} value={one.display} width={each} height={height} theme={theme} sparkline={one.sparkline}
              colorMode={panel.options?.colorMode} graphMode={panel.options?.graphMode} textMode={panel.options?.textMode}
              justifyMode={panel.options?.justifyMode} />
          ))}
        </div>
      );
    }
    case 'bargauge':
    case 'gauge': {
      const found = values();
      return (
        <div>
          {found.map((one, place) => (
            <BarGauge key={place} value={one.display} field={one.field as any} width={width} height={height / found.length - 4}
              theme={theme} orientation={'horizontal' as any} displayMode={panel.options?.displayMode ?? 'gradient'}
              showUnfilled />
          ))}
        </div>
      );
    }
    case 'timeseries':
      return (
        <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc"
          legend={{ displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [], ...panel.options?.legend } as any}
          options={panel.options} />
      );
    case 'table':
      return <Table data={frames[0]} width={width} height={height} initialSortBy={panel.options?.sortBy} columnMinWidth={60} enablePagination={false} />;
    case 'state-timeline':
      return <Timeline frames={frames} range={range} />;
    default:
      return <Lines frames={frames} panel={panel} />;
  }
}

// A stand-in for Grafana's state timeline: a bar for each stretch in which a series has a value.
function Timeline({ frames, range }: { frames: DataFrame[]; range: TimeRange }) {
  const begin = range.from.valueOf(), span = range.to.valueOf() - begin;
  return (
    <div style={{ padding: 8 }}>
      {frames.map((frame, place) => {
        const [times, field] = frame.fields;
        return (
          <div key={place} style={{ display: 'flex', alignItems: 'center', height: 30, fontSize: 12 }}>
            <div style={{ width: 120, color: theme.colors.text.secondary }}>{field.state?.displayName ?? field.config.displayNameFromDS}</div>
            <div style={{ position: 'relative', flex: 1, height: 22, background: theme.colors.background.secondary, overflow: 'hidden' }}>
              {times.values.map((time: number, row: number) => {
                const value = field.values[row], next = times.values[row + 1] ?? time + 5000;
                const shown = field.display?.(value);
                return value === null ? null : (
                  <div key={row} style={{ position: 'absolute', height: '100%', left: `${((time - begin) / span) * 100}%`, width: `${(Math.min(next - time, 5000) / span) * 100 + 0.1}%`, background: shown?.color }} />
                );
              })}
            </div>
          </div>
        );
      })}
    </div>
  );
}

function Lines({ frames, panel }: { frames: DataFrame[]; panel: Panel }) {
  const rows = frames.flatMap((frame) => Array.from({ length: frame.length }, (_, row) => frame.fields.map((field) => field.values[row])));
  return (
    <div style={{ fontFamily: theme.typography.fontFamilyMonospace, fontSize: 12, lineHeight: '20px', overflow: 'hidden' }}>
      {rows.map((row, place) => (
        <div key={place} style={{ whiteSpace: 'nowrap', borderLeft: `3px solid ${theme.colors.success.main}`, paddingLeft: 8, marginBottom: 2 }}>
          {panel.type === 'logs' || panel.type === 'traces' ? (
            <>
              <span style={{ color: theme.colors.text.secondary }}>{dateTime(row[0]).utc().format('HH:mm:ss.SSS')} </span>
              {row.slice(1).map(String).join('  ')}
            </>
          ) : (
            row.map(String).join('  ')
          )}
        </div>
      ))}
    </div>
  );
}

function App() {
  const [page, setPage] = useState<Page>();
  useEffect(() => {
    fetch('data.json').then((answer) => answer.json()).then(setPage);
  }, []);
  if (page === undefined) {
    return null;
  }
  const range: TimeRange = { from: dateTime(page.from), to: dateTime(page.to), raw: { from: 'now-15m', to: 'now' } };
  const column = (WIDTH - CELL) / COLUMNS;
  const bottom = Math.max(...page.panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="page" style={{ width: WIDTH, background: theme.colors.background.canvas, color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily, paddingBottom: 8 }}>
        <div style={{ padding: '14px 16px 8px', display: 'flex', gap: 12, alignItems: 'center', flexWrap: 'wrap' }}>
          <span style={{ fontSize: 20, fontWeight: 500 }}>{page.title}</span>
          {Object.entries(page.variables).map(([name, value]) => (
            <span key={name} style={{ border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, fontSize: 12, padding: '3px 8px' }}>
              <span style={{ color: theme.colors.text.secondary }}>{name} </span>{value}
            </span>
          ))}
          <span style={{ marginLeft: 'auto', color: theme.colors.text.secondary, fontSize: 12 }}>{page.subtitle}</span>
        </div>
        <div style={{ position: 'relative', height: bottom * (ROW + CELL) }}>
          {page.panels.map((drawn, place) => {
            const { x, y, w, h } = drawn.panel.gridPos;
            const box = { position: 'absolute' as const, left: x * column + CELL, top: y * (ROW + CELL), width: w * column - CELL, height: h * (ROW + CELL) - CELL };
            return drawn.panel.type === 'row' ? (
              <div key={place} style={{ ...box, fontSize: 16, fontWeight: 500, paddingTop: 6 }}>⌄ {drawn.panel.title}</div>
            ) : (
              <div key={place} style={box}>
                <PanelContextProvider value={{ eventsScope: 'global', eventBus: { publish() {}, getStream: () => ({ pipe: () => ({ subscribe: () => ({ unsubscribe() {} }) }), subscribe: () => ({ unsubscribe() {} }) }), subscribe: () => ({ unsubscribe() {} }), removeAllListeners() {}, newScopedBus() { return this; } } as any, sync: () => 0 as any } as any}>
                  <PanelChrome title={drawn.panel.title} width={box.width} height={box.height}>
                    {(width, height) => <Content drawn={drawn} width={width} height={height} range={range} />}
                  </PanelChrome>
                </PanelContextProvider>
              </div>
            );
          })}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

async function begin() {
  await initPluginTranslations('preview').catch(() => undefined);
  createRoot(document.getElementById('root')!).render(<App />);
}

void begin();
